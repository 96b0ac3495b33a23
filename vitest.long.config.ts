import { defineConfig } from 'vitest/config';

/** Tests of minutes: kill loops, learning runs, terminals, browsers. One file at a time: they measure and they crowd the machine. */
export default defineConfig({
  test: {
    include: ['test/**/*.long.test.{ts,tsx}'],
    env: { FORCE_COLOR: '0', NO_COLOR: '' },
    fileParallelism: false,
    testTimeout: 900_000,
    hookTimeout: 120_000,
  },
});

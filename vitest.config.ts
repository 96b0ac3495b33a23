import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.{ts,tsx}'],
    exclude: ['test/**/*.long.test.{ts,tsx}'],
    env: { FORCE_COLOR: '0', NO_COLOR: '', ONNXRUNTIME_NODE_INSTALL: 'skip' },
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});

/** @file The real rlrun, but the screen breaks in mid-frame: a component that asks for the memory meets an error. For tests alone. */
const memory = process.memoryUsage;
let looks = 0;
process.memoryUsage = Object.assign(() => memory(), {
  rss(): number {
    if (++looks > 3) throw new Error('the memory gauge fell off');
    return memory.rss();
  },
});
const { runFromProcess } = await import('../../src/cli/main.ts');
await runFromProcess();

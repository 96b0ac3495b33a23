/** @file Rows are read line by line: a file may be larger than any text can be. */
import { constants } from 'node:buffer';
import { closeSync, mkdtempSync, openSync, rmSync, statSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { loadTaskset } from '../../src/tasks/index.ts';

test('600 MB of JSON Lines', { timeout: 300_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'rlrun-large-'));
  try {
    const source = join(folder, 'tasks.jsonl');
    const file = openSync(source, 'w');
    const filling = 'x'.repeat(20_000);
    for (let row = 0; row < 30_000; row++) writeSync(file, `${JSON.stringify({ prompt: `${row} ${filling}`, answer: '1' })}\n`);
    closeSync(file);
    expect(statSync(source).size).toBeGreaterThan(constants.MAX_STRING_LENGTH);
    const loaded = await loadTaskset({ settings: { source, args: {}, split: { train: 29_000, eval: 1000 }, seed: 7 } });
    if (!loaded.ok) throw new Error(loaded.error.message);
    expect(loaded.taskset.train).toHaveLength(29_000);
    expect(loaded.taskset.eval).toHaveLength(1000);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

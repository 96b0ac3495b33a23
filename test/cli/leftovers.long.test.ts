/** Exports and forks that are killed at any moment: nothing is lost, and the next one leaves nothing behind. */
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, expect, test } from 'vitest';
import { uniform } from '../../src/util/random.ts';
import { build, workspace } from './binary.ts';

beforeAll(() => build(), 180_000);

const hidden = async (folder: string): Promise<string[]> => (await readdir(folder).catch(() => [])).filter((name) => /^\.(?!rlrun$)/.test(name));

test('killed at random', { timeout: 600_000 }, async () => {
  await using folder = await workspace();
  const store = join(folder.cwd, '.rlrun');
  await writeFile(join(folder.cwd, 'shape.json'), '{"model_type":"llama","hidden_size":64,"intermediate_size":128,"num_hidden_layers":2,"num_attention_heads":2,"num_key_value_heads":2,"max_position_embeddings":64,"rms_norm_eps":1e-5,"vocab_size":16,"tie_word_embeddings":true}');
  const commands = {
    export: ['models', 'export', 'm', '--out', 'out', '--force'],
    fork: ['models', 'fork', 'config:./shape.json', '--name', 'n', '--if-not-exists'],
  };
  expect((await folder.run('models', 'fork', 'builtin:arith-tiny', '--name', 'm')).exitCode).toBe(0);
  expect((await folder.run(...commands.export)).exitCode).toBe(0);
  const began = performance.now();
  await folder.run(...commands.export);
  const duration = performance.now() - began;
  for (let attempt = 0; attempt < 25; attempt++) {
    for (const [index, args] of Object.values(commands).entries()) {
      const child = folder.start(args);
      await sleep(duration * uniform([2, attempt, index], 0));
      child.kill('SIGKILL');
      await child;
    }
  }
  for (const args of Object.values(commands)) expect((await folder.run(...args)).exitCode).toBe(0);
  expect(await readdir(join(folder.cwd, 'out'))).toContain('rlrun-export.json');
  for (const place of [folder.cwd, join(store, 'bases'), join(store, 'models')]) expect([place, await hidden(place)]).toEqual([place, []]);
  expect((await folder.run('models', 'list')).stdout).not.toContain('✗');
});

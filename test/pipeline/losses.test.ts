/** @file The custom loss that was hashed is the one that the engine runs, whatever happens to its files in between. */
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { loadLosses } from '../../src/pipeline/losses.ts';
import { openEngine } from '../../src/policy/index.ts';
import { engineOptions, randomPrompt, temporaryDirectory, tinyModel } from '../policy/support.ts';

/** A loss of one term per token, which is its factor: so many tokens, so many times the factor. */
const loss = (other: string): string => `
  import { factor } from './${other}';
  import { one } from './one.cjs';
  import settings from './settings.json' with { type: 'json' };
  export default ({ logprobs }: { logprobs: unknown }, { b }: any) => b.add(b.mul(logprobs, 0), factor * one * settings.scale);
`;

async function project(directory: string) {
  const write = (name: string, text: string) => writeFile(join(directory, name), text);
  await Promise.all([
    write('loss.ts', loss('factor.ts')),
    write('factor.ts', 'export const factor: number = 2;'),
    write('one.cjs', "exports.one = require('./one.json').one;"),
    write('one.json', '{ "one": 1 }'),
    write('settings.json', '{ "scale": 1 }'),
  ]);
  return { write, path: join(directory, 'loss.ts') };
}

const settings = (path: string) => ({ kind: 'module' as const, path, reduction: 'token_mean' as const });

const limits = { kind: 'subprocess', cwd: '.', concurrency: 1, setupTimeoutMs: 20_000, memoryMb: 256 };

const tryToLoad = (path: string, more: Partial<typeof limits> = {}) =>
  loadLosses({ stages: [{ train: { loss: settings(path) }, runtime: { ...limits, ...more } }] } as unknown as Parameters<typeof loadLosses>[0]);

async function load(path: string) {
  const loaded = await tryToLoad(path);
  if (!loaded.ok) throw new Error(loaded.error.message);
  return loaded.losses;
}

const sequence = { tokenIds: randomPrompt(1, 6), actionMask: [0, 0, 0, 1, 1, 1], samplingLogprobs: [0, 0, 0, -1, -1, -1], advantages: [0, 0, 0, 1, 1, 1], temperature: 1 };

test.each([
  ['edited', async ({ write }: Awaited<ReturnType<typeof project>>) => {
    await write('factor.ts', 'export const factor: number = 20;');
    await write('one.json', '{ "one": 10 }');
    await write('one.cjs', "exports.one = require('./one.json').one * 10;");
    await write('settings.json', '{ "scale": 10 }');
  }, 20_000],
  ['replaced by one that imports another file', async ({ write, path }: Awaited<ReturnType<typeof project>>) => {
    await write('other.ts', 'export const factor = 7;');
    await rm(join(path, '..', 'factor.ts'));
    await write('loss.ts', loss('other.ts'));
  }, 7],
  ['broken', ({ write }: Awaited<ReturnType<typeof project>>) => write('loss.ts', 'export default ('), null],
  ['deleted', ({ path }: Awaited<ReturnType<typeof project>>) => rm(path), null],
] as const)('a loss that is %s after it was loaded and before the first step', async (_, edit, then) => {
  await using scratch = await temporaryDirectory();
  const model = await tinyModel(join(scratch.path, 'model'));
  const files = await project(scratch.path);
  const step = async ({ sources }: Awaited<ReturnType<typeof load>>) => {
    await using engine = await openEngine(engineOptions(model, { sources }));
    const { metrics } = await engine.trainer.forwardBackward({ sequences: [sequence] }, settings(files.path));
    return metrics['loss:sum'];
  };
  const losses = await load(files.path);
  expect(losses.files).toHaveLength(5);
  await edit(files);
  expect(await step(losses)).toBeCloseTo(2, 5);
  if (then === null) return void (await expect(load(files.path)).rejects.toThrow(/loss/));
  const edited = await load(files.path);
  expect(edited.hash).not.toBe(losses.hash);
  expect(await step(edited)).toBeCloseTo(then, 2);
});

describe('a loss that would take the engine with it is refused before the job begins', () => {
  test.each([
    ['loops', '() => { for (;;); }', /gave no answer within 2 s and was stopped/, { setupTimeoutMs: 2000 }],
    ['exits', '() => process.exit(3)', /ended with exit code 3/, {}],
    ['aborts', '() => process.abort()', /ended by SIGABRT/, {}],
    ['hoards', '() => { const hoard = []; for (;;) hoard.push(Buffer.alloc(1e7, 1)); }', /used more than 128 MB of memory and was stopped/, { memoryMb: 128 }],
    ['throws', '() => { throw new Error("not today"); }', /loss\.mjs: the loss cannot be built: not today/, {}],
    ['has no gradient', '({ advantages }) => advantages', /loss\.mjs: the loss has no gradient/, {}],
  ])('it %s', async (_name, body, says, more) => {
    await using scratch = await temporaryDirectory();
    const path = join(scratch.path, 'loss.mjs');
    await writeFile(path, `export default ${body};`);
    expect(await tryToLoad(path, more)).toMatchObject({ ok: false, error: { key: 'path', message: expect.stringMatching(says) } });
  });
});

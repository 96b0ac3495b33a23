import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { uniform } from '../../src/util/random.ts';
import { build, workspace } from './binary.ts';
import { jobsOf, outcome } from './outcome.ts';
import { inTurns, writeTinyProject } from './tiny-model.ts';

beforeAll(() => build(), 180_000);

/** Over all kinds of jobs; `RLRUN_KILLS=500 npm run test:long -- test/cli/kill` takes half an hour. */
const KILLS = Number(process.env['RLRUN_KILLS'] ?? 60);
const STEPS = { sft: 4, grpo: 16 };

const kinds: Record<string, (text: string) => string> = {
  'a full job': (text) => text,
  'a LoRA job': (text) => text.replace('threads: 1', 'threads: 1, train: { method: lora, rank: 4, alpha: 8 }'),
  'a job in turns': (text) => inTurns(text),
  'an sft job': (text) => text.replace(/sft, steps: 4/, 'sft, steps: 40').replace(/ {2}- \{ kind: grpo.*\n/, ''),
};

const kills = Math.ceil(KILLS / Object.keys(kinds).length);

test.each(Object.keys(kinds))(`%s that is killed (SIGKILL) at ${kills} random moments and resumed each time ends as one that never was`, { timeout: 120_000 + 20_000 * kills }, async (kind) => {
  const writeProject = async (cwd: string) => writeFile(join(cwd, 'tiny.yaml'), kinds[kind]!(await writeTinyProject(cwd, STEPS)));
  await using whole = await workspace();
  await writeProject(whole.cwd);
  const began = performance.now();
  expect(await whole.run('tiny.yaml', '--quiet')).toMatchObject({ exitCode: 0, stderr: '' });
  const wholeMs = performance.now() - began;
  const expected = await outcome(whole.cwd);

  // A job that dies early is begun anew until it has a directory to resume; one that is complete is begun again in a fresh folder.
  let killed = 0;
  for (let round = 0; killed < kills; round++) {
    await using folder = await workspace();
    await writeProject(folder.cwd);
    let isResumable = false;
    for (;;) {
      const child = folder.start(['tiny.yaml', '--quiet', ...(isResumable ? ['--resume'] : [])]);
      const timer = killed < kills ? setTimeout(() => child.kill('SIGKILL'), wholeMs * (0.2 + 0.6 * uniform([round], killed))) : undefined;
      const { exitCode, signal, stderr } = await child;
      clearTimeout(timer);
      if (signal === 'SIGKILL') {
        killed++;
        isResumable = (await jobsOf(folder.cwd)).length > 0;
        continue;
      }
      // Killed between its last word and its end, it has nothing left to do.
      if (isResumable && exitCode === 3 && stderr?.toString().includes('is complete')) break;
      expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
      break;
    }
    const ended = await outcome(folder.cwd);
    expect(ended.names).toEqual(expected.names);
    expect(ended.head).toBe(expected.head);
    expect(ended.files.map((file, index) => file === expected.files[index])).toEqual(expected.files.map(() => true));
    expect(ended.metrics).toEqual(expected.metrics);
  }
});

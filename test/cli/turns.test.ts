/** Agents that take turns, through the real binary: what a job of them leaves, and that it does not depend on who is slow. */
import { createHash } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import type { Rollout } from '../../src/events.ts';
import { build, fromHome, workspace } from './binary.ts';
import { jobsOf, outcome } from './outcome.ts';
import { writeCallingProject } from './calling-model.ts';
import { inTurns, writeTinyProject } from './tiny-model.ts';

beforeAll(() => build(), 180_000);

async function rolloutsOf(cwd: string): Promise<Rollout[]> {
  const [job] = await jobsOf(cwd);
  const folder = join(cwd, '.rlrun', 'jobs', job!, 'rollouts');
  const texts = await Promise.all((await readdir(folder)).filter((name) => name.startsWith('step-')).sort().map((name) => readFile(join(folder, name), 'utf8')));
  return texts.flatMap((text) => text.trim().split('\n').map((line) => JSON.parse(line) as Rollout));
}

const isPrefix = (beginning: readonly number[], whole: readonly number[]): boolean => beginning.every((id, index) => whole[index] === id);

test('a chat model calls tools, is answered, and learns from what it drew', async () => {
  await using folder = await workspace();
  await writeCallingProject(folder.cwd);
  expect(await folder.run('tiny.yaml', '--quiet')).toMatchObject({ exitCode: 0, stderr: '' });
  const rollouts = await rolloutsOf(folder.cwd);
  expect(rollouts.length).toBe(64);
  for (const { status, conversation, turns } of rollouts) {
    expect(status).toBe('completed');
    expect(conversation!.messages.filter(({ role }) => role === 'assistant').length).toBe(turns.length);
    turns.slice(1).forEach(({ promptTokenIds }, index) => expect(isPrefix([...turns[index]!.promptTokenIds, ...turns[index]!.outputTokenIds], promptTokenIds)).toBe(true));
  }
  const results = rollouts.flatMap(({ conversation }) => conversation!.messages).filter(({ role }) => role === 'tool');
  expect(results.some(({ content, failure }) => failure === undefined && /^took [123]$/.test(content))).toBe(true);
  expect([...new Set(results.flatMap(({ failure }) => failure ?? []))].sort()).toEqual(['invalid_arguments', 'malformed', 'unknown_tool']);
  const { metrics } = await outcome(folder.cwd);
  expect(metrics.length).toBeGreaterThan(1);
});

test.each<[string, (cwd: string, slow: string) => Promise<void>]>([
  ['tools', (cwd, slow) => writeCallingProject(cwd, { slow })],
  ['an environment', async (cwd, slow) => {
    const game = join(cwd, 'game.mjs');
    await writeFile(game, `
      import games, { templates as quick } from ${JSON.stringify(fromHome('examples/environments/guess.ts'))};
      export default games;
      export const templates = {
        async *guess(args) {
          const game = quick.guess(args);
          for (let answer;;) {
            const { value, done } = await game.next(answer);
            if (done) return;
            await new Promise((resolve) => setTimeout(resolve, ${slow}));
            answer = yield value;
          }
        },
      };`);
    await writeFile(join(cwd, 'tiny.yaml'), inTurns(await writeTinyProject(cwd, { sft: 4, grpo: 4 }), game));
  }],
])('how long %s takes has no part in what is learnt', async (_name, write) => {
  const outcomes = [];
  for (const slow of ['0', 'Math.random() * 20', 'Math.random() * 20']) {
    await using folder = await workspace();
    await write(folder.cwd, slow);
    expect(await folder.run('tiny.yaml', '--quiet')).toMatchObject({ exitCode: 0, stderr: '' });
    const { files, names, metrics } = await outcome(folder.cwd);
    outcomes.push({ metrics, steps: names.length, weights: files.map((file) => createHash('sha256').update(file).digest('hex')) });
  }
  expect(outcomes[0]!.steps).toBeGreaterThan(1);
  for (const each of outcomes.slice(1)) expect(each).toEqual(outcomes[0]);
}, 60_000);

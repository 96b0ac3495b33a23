/** @file `--watch` on the screen of a real terminal: files are saved as editors save them, and the watch view says what came of it. */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hasTmux, startTmux, type Tmux } from '../tui/tmux.ts';
import { binary, build, workspace } from './binary.ts';

const pipeline = `name: watched
model: { fork: builtin:arith-tiny, name: watched, threads: 1 }
taskset: { source: ./rows.jsonl, split: { train: 40, eval: 10 } }
agent: { kind: completion, max_tokens: 8, temperature: 1 }
reward:
  - { kind: numeric_match }
  - { kind: module, path: ./reward.ts, weight: 0.2 }
group: 4
batch: 8
steps: 3
eval: { every: 0 }
watch: { on_reward: rollback }
`;
const rows = (off: number): string => Array.from({ length: 50 }, (_, index) => `${JSON.stringify({ prompt: `${index + 1}+7=`, answer: String(index + 8 + off) })}\n`).join('');
const reward = (expression: string): string => `export default (completion: string): number => ${expression};\n`;

describe.skipIf(!hasTmux)('--watch in a terminal', { timeout: 120_000 }, () => {
  let folder: Awaited<ReturnType<typeof workspace>>;
  let tmux: Tmux;
  beforeAll(async () => {
    build();
    folder = await workspace();
    tmux = startTmux(folder.cwd);
  }, 200_000);
  afterAll(async () => {
    tmux?.close();
    await folder?.[Symbol.asyncDispose]();
  });

  test('edits of reward, tasks and pipeline, saved in every way', async () => {
    const path = (name: string) => join(folder.cwd, name);
    const save = (name: string, text: string) => writeFileSync(path(name), text);
    /** As vim does: written beside, moved over. */
    const saveByRename = (name: string, text: string) => {
      save(`${name}~`, text);
      renameSync(path(`${name}~`), path(name));
    };
    save('p.yaml', pipeline);
    save('rows.jsonl', rows(0));
    save('reward.ts', reward('completion.trim().length / 10'));
    const pane = tmux.open({ columns: 120, rows: 40, cwd: folder.cwd, limitMs: 110_000 });
    const stored = async () => JSON.parse(`[${(await folder.run('jobs', '--json')).stdout.trim().replaceAll('\n', ',')}]`) as { id: string; parent: string | null; start: { step: number }; status: string }[];
    /** So many jobs have run to their end: the screen may still show that of the one before. */
    const completed = async (count: number) => {
      for (let look = 0; look < 60; look++) {
        const jobs = await stored();
        if (jobs.length === count && jobs[0]!.status === 'completed') break;
        await setTimeout(250);
      }
      await pane.shows('✔ completed');
    };
    await pane.run(`${process.execPath} ${binary} p.yaml --watch`);
    await completed(1);
    pane.key('5');
    await pane.shows('watch 3 files');

    save('reward.ts', `// a remark\n${reward('completion.trim().length / 10')}`);
    await pane.shows(/nothing that matters changed[^]*→ nothing {2}the run would be the same/);

    saveByRename('reward.ts', reward('completion.trim().length / 20'));
    await pane.shows(/reward\.ts {2}the reward changed[^]*scored again step 3 · 32 rollouts[^]*mean [\d.]+ → [\d.]+ {2}spread [\d.]+ → [\d.]+/);
    await pane.shows('→ rerun  with the new reward, from the base, where the job before began');
    await completed(2);

    save('rows.jsonl', rows(1));
    await pane.shows(/rows\.jsonl {2}the tasks changed[^]*→ rerun {2}with what has changed, from the head/);
    await completed(3);

    saveByRename('p.yaml', pipeline.replace('group: 4', 'gruop: 4'));
    await pane.shows(/p\.yaml {2}not valid: its repair is waited for[^]*did you mean "group"\?/);
    save('p.yaml', pipeline.replace('group: 4', 'group: 5'));
    await pane.shows(/the pipeline changed[^]*group 4 → 5[^]*→ rerun/);
    await completed(4);

    // Two in quick succession are one edit.
    save('p.yaml', pipeline.replace('group: 4', 'group: 6'));
    await setTimeout(30);
    save('p.yaml', pipeline.replace('group: 4', 'group: 6').replace('batch: 8', 'batch: 4'));
    await pane.shows(/group 5 → 6[^]*batch 8 → 4[^]*→ rerun/);
    await completed(5);

    rmSync(path('reward.ts'));
    await pane.shows('there is no reward module ./reward.ts');
    save('reward.ts', reward('completion.trim().length / 30'));
    await pane.shows(/the reward changed[^]*scored again step 3 · 24 rollouts/);
    await completed(6);
    pane.key('q');
    await pane.shows('status 0');

    const jobs = await stored();
    expect(jobs.map(({ start, status }) => [start.step, status])).toEqual([[9, 'completed'], [9, 'completed'], [6, 'completed'], [3, 'completed'], [0, 'completed'], [0, 'completed']]);
    expect(jobs.slice(0, -1).map(({ parent }) => parent)).toEqual(jobs.slice(1).map(({ id }) => id));
    expect(jobs.map(({ id }) => id)).toEqual(jobs.map(({ id }) => id).toSorted().toReversed());
    expect(readFileSync(path('reward.ts'), 'utf8')).toContain('/ 30');
  });
});

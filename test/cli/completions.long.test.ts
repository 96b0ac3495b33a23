/** @file Tab in real shells: bash, zsh and fish in a terminal of their own, with models, checkpoints and jobs to choose from. */
import { spawnSync } from 'node:child_process';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, describe, test } from 'vitest';
import { hasTmux, startTmux, type Tmux } from '../tui/tmux.ts';
import { binary, build, workspace } from './binary.ts';
import { writeTinyProject } from './tiny-model.ts';

const shells = [
  { name: 'bash', start: 'bash --norc --noprofile', load: 'eval "$(rlrun completions bash)"', prompt: `PS1='in-bash> '` },
  { name: 'zsh', start: 'zsh -f', load: 'autoload -U compinit && compinit -u -D && eval "$(rlrun completions zsh)"', prompt: `PROMPT='in-zsh> '` },
  { name: 'fish', start: 'fish --no-config', load: 'rlrun completions fish | source', prompt: `function fish_prompt; echo -n 'in-fish> '; end` },
] as const;
const has = (shell: string) => spawnSync(shell, ['-c', 'true']).status === 0;

describe.skipIf(!hasTmux)('Tab', { timeout: 120_000 }, () => {
  let folder: Awaited<ReturnType<typeof workspace>>;
  let tmux: Tmux;
  const project = () => join(folder.cwd, 'a project');
  let job = '';

  beforeAll(async () => {
    build();
    folder = await workspace();
    tmux = startTmux(folder.cwd);
    await mkdir(join(project(), 'models'), { recursive: true });
    await writeTinyProject(project(), { sft: 3, grpo: 1 });
    await writeFile(join(project(), 'two words.yaml'), 'extends: tiny.yaml\n');
    const { stdout } = await folder.start(['tiny.yaml', '--json'], { cwd: project() });
    job = (JSON.parse(String(stdout).split('\n').find((line) => line.includes('"job-started"'))!) as { jobId: string }).jobId;
    await mkdir(join(folder.cwd, 'bin'));
    await writeFile(join(folder.cwd, 'bin', 'rlrun'), `#!/bin/sh\nexec '${process.execPath}' '${binary}' "$@"\n`);
    await chmod(join(folder.cwd, 'bin', 'rlrun'), 0o755);
  }, 240_000);
  afterAll(async () => {
    tmux?.close();
    await folder?.[Symbol.asyncDispose]();
  });

  for (const { name, start, load, prompt } of shells) {
    test.skipIf(!has(name))(`in ${name} completes commands, flags, files, models, checkpoints, jobs`, async () => {
      const PATH = `${join(folder.cwd, 'bin')}${delimiter}${process.env['PATH']}`;
      const pane = tmux.open({ columns: 140, rows: 50, cwd: project(), limitMs: 110_000, env: { PATH, HOME: folder.cwd } });
      const enter = (text: string) => pane.key('-l', text), press = (...keys: string[]) => pane.key(...keys);
      await pane.shows('ready>');
      enter(start);
      press('Enter');
      await setTimeout(500);
      enter(load);
      press('Enter');
      enter(prompt);
      press('Enter');
      await pane.shows(new RegExp(`^in-${name}> *$`, 'm'));
      const isClear = () => new RegExp(`^in-${name}> *\\s*$`).test(pane.screen());
      /** Keys that come while a shell still asks rlrun are lost, so that they have to be pressed again. */
      const clear = async () => {
        for (let turn = 0; turn < 20 && !isClear(); turn++) {
          press('C-c');
          await setTimeout(200);
          // Apart from Ctrl-C, which throws away what is typed with it.
          press('C-l');
          for (let look = 0; look < 10 && !isClear(); look++) await setTimeout(50);
        }
      };
      /** What the line becomes after one Tab. */
      const becomes = async (typed: string, line: string) => {
        await clear();
        enter(typed);
        await pane.shows(`> ${typed.trimEnd()}`);
        press('Tab');
        await pane.shows(`> ${line.trimEnd()}`);
        // A terminal does not tell spaces at the end of a line from nothing; what is typed next does.
        enter('X');
        await pane.shows(`> ${line}X`);
      };
      /** What is there to choose from after Tab, twice where the first one only rings. */
      const offers = async (typed: string, ...words: string[]) => {
        await clear();
        enter(typed);
        await pane.shows(`> ${typed.trimEnd()}`);
        press('Tab', 'Tab');
        for (const word of words) await pane.shows(word);
      };
      await becomes('rlrun mod', 'rlrun models ');
      await becomes('rlrun models che', 'rlrun models checkpoints ');
      await becomes('rlrun models checkpoints tin', 'rlrun models checkpoints tiny-rl ');
      await becomes('rlrun models head tiny-rl --set bas', 'rlrun models head tiny-rl --set base ');
      await offers('rlrun models head tiny-rl --set step-00000', '000001', '000002', '000003');
      await becomes('rlrun models fork builtin:ar', 'rlrun models fork builtin:arith-tiny ');
      await offers('rlrun models fork tiny-rl@step-00000', '000001', '000002', '000003');
      await offers('rlrun tiny', 'tiny.yaml');
      await becomes('rlrun check two', 'rlrun check two\\ words.yaml ');
      await becomes('rlrun check tiny.yaml --res', 'rlrun check tiny.yaml --resolved ');
      await becomes('rlrun run tiny.yaml --from ba', 'rlrun run tiny.yaml --from base ');
      await becomes('rlrun run tiny.yaml --device web', 'rlrun run tiny.yaml --device webgpu ');
      await becomes('rlrun run tiny.yaml --set train.learning', 'rlrun run tiny.yaml --set train.learning_rate=');
      await becomes('rlrun jobs tiny-', `rlrun jobs ${job} `);
      await offers('rlrun report ', 'latest', job);
    });
  }
});

/* oxlint-disable no-control-regex -- control characters are what is tested here */
/** Whatever comes from a model, a file, a task or somebody's code is text on the terminal, and no command to it. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { characterTokenizer, createRandomModel } from '../../src/models/index.ts';
import { build, workspace } from './binary.ts';
import { writeTinyProject } from './tiny-model.ts';

beforeAll(() => build(), 180_000);

/** A title, a cleared screen, a colour by C1, hidden text, turned directions, a hyperlink that is never closed. */
const hostile = 'X\u001b]0;PWNED\u0007\u001b[2J\u009b31m\u001b[8m\u202e\u2066\u200f\u061c\u001b]8;;http://evil\u001b\\\u0090q\u0085';
const controls = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/;
/** What rlrun paints with: one plain colour or weight, and its end. */
const paint = /\u001b\[(?:[0-9]|2[0-9]|3[0-79]|90)m/g;

/** Runs `rlrun` with colours, which is where most can go wrong, and looks at everything it wrote. */
async function harmless(folder: Awaited<ReturnType<typeof workspace>>, ...args: string[]): Promise<string> {
  const { stdout, stderr } = await folder.start(args, { env: { CI: '1', COLUMNS: '100', NO_COLOR: undefined, FORCE_COLOR: '1' } });
  const output = String(stdout) + String(stderr);
  expect(output.replaceAll(paint, '')).not.toMatch(controls);
  return output;
}

const edit = async (path: string, change: (text: string) => string): Promise<void> => writeFile(path, change(await readFile(path, 'utf8')));

describe('nothing moves the cursor', () => {
  test('of tasks: their names, prompts and answers', async () => {
    await using folder = await workspace();
    await writeTinyProject(folder.cwd, { sft: 1, grpo: 1 });
    const rows = Array.from({ length: 16 }, (_, index) => ({ prompt: `${index}+1=${hostile}`, answer: '99', slug: `s${index}${hostile}` }));
    await writeFile(join(folder.cwd, 'tasks.jsonl'), rows.map((row) => JSON.stringify(row)).join('\n'));
    await edit(join(folder.cwd, 'tiny.yaml'), (text) => text.replace(/taskset: .*\n/, 'taskset: { source: ./tasks.jsonl, split: { train: 8, eval: 8 } }\n'));
    await harmless(folder, 'check', 'tiny.yaml');
    await harmless(folder, 'tiny.yaml', '--no-tui');
    await harmless(folder, 'tiny.yaml', '--dry-run');
    expect(await harmless(folder, 'eval', 'tiny.yaml')).toContain('PWNED');
    await harmless(folder, 'jobs', 'latest');
    await harmless(folder, 'trace', '000002-0000-000');
    await harmless(folder, 'tiny.yaml', '--json');
  }, 60_000);

  test("of somebody's code: what it prints and what it throws", async () => {
    await using folder = await workspace();
    await writeTinyProject(folder.cwd, { sft: 1, grpo: 1 });
    await writeFile(join(folder.cwd, 'rewards', 'digits.ts'), `export default () => { console.log(${JSON.stringify(hostile)}); throw new Error(${JSON.stringify(hostile)}); };\n`);
    expect(await harmless(folder, 'check', 'tiny.yaml')).toContain('PWNED');
    await harmless(folder, 'tiny.yaml', '--no-tui', '--verbose');
    await harmless(folder, 'tiny.yaml', '--no-tui');
  }, 60_000);

  test('of a model: its words, the names in its files', async () => {
    await using folder = await workspace();
    await writeTinyProject(folder.cwd);
    const tokenizer = characterTokenizer({ characters: `12+=\u001b[]0;m\u0007\u009b\u202e\u2066\u200f\u009d`, contextLength: 32 });
    const config = JSON.parse(await readFile(join(folder.cwd, 'tiny', 'config.json'), 'utf8')) as Record<string, unknown>;
    await createRandomModel({ directory: join(folder.cwd, 'odd'), config: { ...config, vocab_size: tokenizer.vocabularySize }, tokenizer: tokenizer.files, seed: 5 });
    await folder.run('models', 'fork', './odd', '--name', 'odd');
    for (const seed of ['1', '2']) await harmless(folder, 'sample', 'odd', '1+2=', '--temperature', '9', '--max-tokens', '24', '--seed', seed);
    await harmless(folder, 'sample', 'odd', '1+2=', '--temperature', '9', '--json');

    await writeFile(join(folder.cwd, 'tiny', 'config.json'), JSON.stringify({ ...config, model_type: hostile }));
    await writeFile(join(folder.cwd, 'tiny', 'model.safetensors'), safetensorsHeader({ [hostile]: { dtype: hostile, shape: [1], data_offsets: [0, 4] } }));
    await harmless(folder, 'models', 'fork', './tiny', '--name', 'named');
    await writeFile(join(folder.cwd, 'tiny', 'config.json'), JSON.stringify(config));
    expect(await harmless(folder, 'models', 'fork', './tiny', '--name', 'other')).toContain('PWNED');
  }, 60_000);

  test('of the command line and the pipeline', async () => {
    await using folder = await workspace();
    await writeTinyProject(folder.cwd);
    await harmless(folder, 'check', 'tiny.yaml', '--set', `agent.kind=${hostile.replaceAll('\u0085', '')}`);
    await harmless(folder, 'sample', hostile, 'x');
    await harmless(folder, `${hostile}.yaml`);
    await harmless(folder, 'jobs', hostile);
    await harmless(folder, 'no-such-command', hostile);
    await harmless(folder, 'check', 'tiny.yaml', `--${hostile}`);
    await edit(join(folder.cwd, 'tiny.yaml'), (text) => `${text}\nwatch: { on_reward: "${JSON.stringify(hostile).slice(1, -1)}" }\n`);
    await harmless(folder, 'check', 'tiny.yaml');
  }, 60_000);
});

test('what rlrun paints itself keeps its colour', async () => {
  await using folder = await workspace();
  const { stderr } = await folder.start(['jobs', 'none'], { env: { CI: '1', FORCE_COLOR: '1', NO_COLOR: undefined } });
  expect(String(stderr)).toContain('\u001b[31merror\u001b[39m: ');
});

function safetensorsHeader(header: object): Buffer {
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text, Buffer.alloc(4)]);
}

/** Chat models through the real binary: their templates, their tokenizers, their weights, and what is said of them. */
import { readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { build, workspace } from './binary.ts';
import { writeTinyProject } from './tiny-model.ts';

beforeAll(() => build(), 180_000);

/** What a character tokenizer can write down. */
const TEMPLATE = "{% for m in messages %}{{ '<' + m.role + '>' + m.content + '<eos>' }}{% endfor %}{% if add_generation_prompt %}{{ '<assistant>' }}{% endif %}";

/** `tiny.yaml`, which trains a chat model on the tasks of `tasks.jsonl`. */
async function chatProject(folder: string, { template = TEMPLATE, agent = '', tasks = [{ prompt: '1+1', answer: '2' }] as object[], files = {} as Record<string, (value: Record<string, unknown>) => unknown> } = {}): Promise<void> {
  await writeTinyProject(folder);
  const change = async (file: string, to: (value: Record<string, unknown>) => unknown) => {
    const path = join(folder, 'tiny', file);
    await writeFile(path, JSON.stringify(to(JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>)));
  };
  await change('tokenizer_config.json', (config) => ({ ...config, chat_template: template }));
  for (const [file, to] of Object.entries(files)) await change(file, to);
  await writeFile(join(folder, 'tasks.jsonl'), tasks.map((task) => `${JSON.stringify(task)}\n`).join(''));
  await writeFile(join(folder, 'tiny.yaml'), `name: tiny
model: { fork: ./tiny, name: tiny-rl, threads: 1 }
taskset: { source: ./tasks.jsonl, split: { train: ${tasks.length}, eval: 0 } }
agent: { kind: chat, max_tokens: 2${agent} }
reward: [{ kind: length, min: 0, max: 1 }]
group: 2
batch: ${tasks.length}
steps: 1
`);
}

async function prompts(cwd: string): Promise<{ prompt: string; error?: { message: string } }[]> {
  const [job] = (await readdir(join(cwd, '.rlrun', 'jobs'))).filter((name) => name.startsWith('tiny-'));
  const lines = await readFile(join(cwd, '.rlrun', 'jobs', job!, 'rollouts', 'step-000001.jsonl'), 'utf8');
  return lines.split('\n').filter(Boolean).map((line) => JSON.parse(line) as { prompt: string });
}

test('an answer that the task has begun is gone on with', async () => {
  await using folder = await workspace();
  await chatProject(folder.cwd, { tasks: [{ prompt: [{ role: 'user', content: '1+1' }, { role: 'assistant', content: 'it is' }], answer: '2' }] });
  expect(await folder.run('tiny.yaml')).toMatchObject({ exitCode: 0 });
  expect((await prompts(folder.cwd)).map(({ prompt }) => prompt)).toEqual(Array(2).fill('<user>1+1<eos><assistant>it is'));
});

test('what the template has against one task fails that task and is told at the start; against all, nothing is begun', async () => {
  await using folder = await workspace();
  const template = `{% if messages[0].role == 'system' %}{{ raise_exception('no system messages here') }}{% endif %}${TEMPLATE}`;
  await chatProject(folder.cwd, { template, tasks: [{ id: 'even', prompt: '1+1', answer: '2' }, { id: 'odd', prompt: [{ role: 'system', content: 'x' }], answer: '2' }] });
  const { stderr, exitCode } = await folder.run('tiny.yaml');
  expect(exitCode).toBe(0);
  expect(stderr).toMatch(/warning: 1 of 2 train tasks cannot be put to the model; the first: task odd: the chat template of \S+ says: no system messages here/);
  expect((await prompts(folder.cwd)).filter(({ error }) => error)).toHaveLength(2);
  await writeFile(join(folder.cwd, 'tasks.jsonl'), '{ "id": "even", "prompt": "1+1", "answer": "2" }\n');
  const all = await folder.run('tiny.yaml', '--set', 'agent.system=be brief', '--set', 'taskset.split.train=1', '--set', 'batch=1');
  expect(all.exitCode).toBe(2);
  expect(all.stderr).toMatch(/^error: tiny\.yaml:4:8: no train task can be put to the model; the first that cannot: task even: the chat template of \S+ says: no system messages here; leave agent\.system out\n/m);
  expect(await folder.run('sample', 'tiny-rl', 'x', '--chat', '--max-tokens', '1')).toMatchObject({ exitCode: 0 });
});

test('a template gets the arguments of the pipeline, and a prompt that it does not open is told', async () => {
  await using folder = await workspace();
  await chatProject(folder.cwd, { template: "{% for m in messages %}{{ '<' + m.role + '>' + m.content + mark }}{% endfor %}", agent: ', template_args: { mark: "!" }' });
  const { stderr, exitCode } = await folder.run('tiny.yaml');
  expect(exitCode).toBe(0);
  expect((await prompts(folder.cwd))[0]!.prompt).toBe('<user>1+1!');
  expect(stderr).toContain("warning: the model's chat template ignores add_generation_prompt: ");
});

test('a model whose tokenizer cannot be followed is not forked', async () => {
  await using folder = await workspace();
  await chatProject(folder.cwd, { files: { 'tokenizer.json': (json) => ({ ...json, pre_tokenizer: { type: 'Split', pattern: { Regex: '(?x: a )' }, behavior: 'Isolated', invert: false } }) } });
  const { stderr, exitCode } = await folder.run('models', 'fork', './tiny', '--name', 'odd');
  expect({ stderr, exitCode }).toEqual({ exitCode: 1, stderr: expect.stringMatching(/^error: the tokenizer in \S+ cannot be used: the option \(\?x\) is not known here\n {2}The model's files are in /) });
  expect((await folder.run('models', 'list', '--quiet')).stdout).not.toContain('odd');
});

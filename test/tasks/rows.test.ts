import { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { loadTaskset } from '../../src/tasks/index.ts';

const folder = realpathSync(mkdtempSync(join(tmpdir(), 'rlrun-tasks-')));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let files = 0;
function write(ending: string, text: string): string {
  const file = join(folder, `tasks-${++files}${ending}`);
  writeFileSync(file, text);
  return file;
}
const load = (source: string, split = { train: 1, eval: 1 }, args = {}) => loadTaskset({ settings: { source, args, split, seed: 7 } });
const jsonl = (...rows: unknown[]) => write('.jsonl', rows.map((row) => (typeof row === 'string' ? row : JSON.stringify(row))).join('\n'));
async function told(source: string, split?: { train: number; eval: number }): Promise<string> {
  const loaded = await load(source, split);
  if (loaded.ok) throw new Error('expected a fault');
  expect(loaded.error.files).toContain(source);
  return `${loaded.error.message} ${loaded.error.fix}`.replaceAll(source, 'FILE');
}

describe('rows', () => {
  const rows = [
    { prompt: '1+1=', answer: 2, slug: 'one' },
    { prompt: [{ role: 'user', content: 'hi' }], id: 'greet', args: { word: 'größe' } },
    { prompt: 'last', answer: null, columns: { level: 'easy' }, validation: null },
  ];
  const yaml = `
- { prompt: 1+1=, answer: 2, slug: one }
- prompt: [{ role: user, content: hi }]
  id: greet
  args: { word: größe }
- { prompt: last, columns: { level: easy } }`;

  test.each([
    ['.jsonl', rows.map((row) => JSON.stringify(row)).join('\n\n')],
    ['.json', `\uFEFF${JSON.stringify(rows, null, 2)}`],
    ['.yaml', yaml],
    ['.ts', `export default ${JSON.stringify(rows)};`],
    ['.mjs', `export default async function* () { for (const row of ${JSON.stringify(rows)}) yield row; }`],
  ])('are read from %s', async (ending, text) => {
    const source = write(ending, text);
    const loaded = await load(source, { train: 3, eval: 0 });
    if (!loaded.ok) throw new Error(loaded.error.message);
    const byId = loaded.taskset.train.toSorted((a, b) => (a.id < b.id ? -1 : 1));
    expect(byId).toEqual([
      { id: 'greet-3e2b8fd7', prompt: [{ role: 'user', content: 'hi' }], answer: null, args: { word: 'größe' } },
      { id: 'one', prompt: '1+1=', answer: '2', args: {} },
      { id: expect.stringMatching(/^tasks-\d+-[0-9a-f]{8}$/), prompt: 'last', answer: null, args: {} },
    ]);
    expect(loaded.taskset.files).toEqual([source]);
  });

  test.each([
    ['.jsonl', '{"id":"add","prompt":"p","args":{"x":1.0,"flag":true,"n":null}}'],
    ['.json', '[{"id":"add","prompt":"p","args":{"x":1.0,"flag":true,"n":null}}]'],
    ['.yaml', '- {id: add, prompt: p, args: {x: 1.0, flag: true, n: null}}'],
  ])('have the slug that Python gives them: 1.0 is no 1 (%s)', async (ending, text) => {
    const loaded = await load(write(ending, text), { train: 1, eval: 0 });
    expect(loaded).toMatchObject({ ok: true, taskset: { train: [{ id: 'add-75bd0260', args: { x: 1 } }] } });
  });

  test('with the same prompt stay on one side, whatever the seed', async () => {
    const source = jsonl(...Array.from({ length: 40 }, (_, index) => ({ prompt: `q${index % 10}`, answer: index })));
    for (let seed = 0; seed < 20; seed++) {
      const loaded = await loadTaskset({ settings: { source, args: {}, split: { train: 28, eval: 8 }, seed } });
      if (!loaded.ok) throw new Error(loaded.error.message);
      const trained = new Set(loaded.taskset.train.map(({ prompt }) => prompt));
      expect(loaded.taskset.eval.filter(({ prompt }) => trained.has(prompt))).toEqual([]);
      expect(loaded.taskset.eval).toHaveLength(8);
    }
    expect(await told(source, { train: 37, eval: 2 })).toBe(
      'FILE: rows with the same prompt stay on one side of the split, which leaves 36 to train; the split asks for 37. Ask for fewer, or remove rows that repeat a prompt.',
    );
  });

  test('may say themselves which side they are on', async () => {
    const lists = write('.json', JSON.stringify({ train: [{ prompt: 'a' }, { prompt: 'b' }], eval: [{ prompt: 'c' }] }));
    const marked = jsonl({ prompt: 'a', split: 'train' }, { prompt: 'c', split: 'eval' }, { prompt: 'b', split: 'train' });
    for (const source of [lists, marked]) {
      const loaded = await load(source, { train: 2, eval: 1 });
      if (!loaded.ok) throw new Error(loaded.error.message);
      expect(loaded.taskset.train.map(({ prompt }) => prompt)).toEqual(['a', 'b']);
      expect(loaded.taskset.eval.map(({ prompt }) => prompt)).toEqual(['c']);
    }
  });
});

test('a hundred thousand rows that differ have names that differ', async () => {
  const source = jsonl(...Array.from({ length: 100_000 }, (_, index) => ({ prompt: `${index}+1=`, answer: index + 1 })));
  const loaded = await load(source, { train: 99_000, eval: 1000 });
  if (!loaded.ok) throw new Error(loaded.error.message);
  const { train, eval: held } = loaded.taskset;
  expect(new Set([...train, ...held].map(({ id }) => id)).size).toBe(100_000);
});

describe('what is wrong with rows', () => {
  const good = { prompt: 'p', answer: 'a' };
  test.each([
    [[good, { promt: 'q' }], 'FILE, line 2: there is no key "promt". Did you mean "prompt"? The keys are prompt, answer, split, env, id, args, slug, validation, columns, agent_config, runtime_config, verifier.'],
    [[good, {}], 'FILE, line 2: there is neither a prompt nor the id of a template. Write { "prompt": "12+34=", "answer": "46" }.'],
    [[good, { prompt: '' }], 'FILE, line 2: "prompt" has to be a text, or messages with role and content. Write "prompt": "12+34=".'],
    [[good, { prompt: [{ role: 'boss', content: 'x' }] }], 'FILE, line 2: "prompt" has to be a text, or messages with role and content. Write "prompt": "12+34=".'],
    [[good, { prompt: 'q', answer: ['a'] }], 'FILE, line 2: "answer" has to be a text or a number. Write the one right answer; what a grader needs besides belongs into "args".'],
    [[good, { prompt: 'q', args: [1] }], 'FILE, line 2: "args" has to be an object. Write "args": {} with the names and values of the arguments.'],
    [[good, { prompt: 'q', split: 'test' }], 'FILE, line 2: "split" has to be train or eval. Leave it out to have the rows split at random.'],
    [[good, { prompt: 'q', slug: 7 }], 'FILE, line 2: "slug" has to be a text. Put "slug" in quotes.'],
    [[good, { prompt: 'q', verifier: { id: 'v' } }], 'FILE, line 2: rlrun does not read "verifier" of a task. Judge the completion with a `reward:` of the pipeline.'],
    [[good, good], 'FILE, line 2: the same task is there already, in line 1. Remove one, or give each a slug of its own.'],
    [[good, 7], 'FILE, line 2: expected an object with a prompt, or with the id of a template. Write { "prompt": "12+34=", "answer": "46" }.'],
    [[good, '{"prompt": "q"'], /^FILE:2:\d+ is no JSON value: .+ Write one JSON object per line\.$/],
    [[good, { prompt: 'q', split: 'eval' }], 'FILE: 1 of 2 rows have a split. Give every row one, or none.'],
    [[{ prompt: 'q', answer: 1, split: 'eval' }, { prompt: 'q', answer: 2, split: 'train' }], 'FILE: line 1 of eval asks the same as line 2 of train. Remove one of them: a held-out task must not be trained on.'],
    [[good], 'FILE has 1 task; the split asks for 1 to train and 1 to evaluate, 2 in all. Write split: { train: 0, eval: 1 } or less.'],
    [[good, { id: 'add', args: {} }], 'FILE: there is no program to ask: write runtime: { kind: subprocess, command: [...] }. Its rows name templates that something has to run.'],
  ])('%j', async (rows, message) => {
    const text = await told(jsonl(...rows));
    if (typeof message === 'string') expect(text).toBe(message);
    else expect(text).toMatch(message);
  });

  test.each([
    ['.json', '{"tasks": []}', 'FILE holds an object; expected a list of tasks. Write a list, or an object with the two lists train and eval.'],
    ['.json', '[{"prompt": "a",}]', /^FILE:1:\d+ is no JSON: /],
    ['.yaml', '- prompt: "a\n- b', /^FILE:\d+:\d+ is no YAML: /],
    ['.yaml', `a: &a [x]\nb: &b [${'*a,'.repeat(50)}]\nc: &c [${'*b,'.repeat(50)}]\nd: [${'*c,'.repeat(50)}]`, /Excessive alias count/],
    ['.ts', 'export const tasks = [];', /^FILE: its default export is missing; expected a list of tasks or a generator of them\. /],
    ['.ts', 'export default 7;', /its default export is a number/],
    ['.ts', 'export default function* () { yield { prompt: "a" }; throw new Error("out of ideas"); }', /out of ideas \(tasks-\d+\.ts:1:\d+\)/],
    ['.ts', 'export default [{ prompt: "a", weight: 1n }];', /BigInt/],
    ['.ts', 'export const templates = { add: null }; export default [{ id: "ad" }];', 'FILE, row 1: there is no template "ad". Did you mean "add"? The file exports add.'],
    ['.ts', 'process.exit(0);', /ended its worker with exit code 0/],
  ])('%s %s', async (ending, text, message) => {
    const said = await told(write(ending, text));
    if (typeof message === 'string') expect(said).toBe(message);
    else expect(said).toMatch(message);
  });

  test('a file that is not there', async () => {
    expect(await told(join(folder, 'none.jsonl'))).toBe('There is no file FILE. Correct the path; it is relative to the pipeline file.');
  });
});

describe('modules', () => {
  test('an endless generator is asked for as many rows as the split needs', async () => {
    const source = write('.ts', 'export default async function* (args: { word: string }, { seed }: { seed: number }) { for (let n = 0; ; n++) yield { prompt: args.word + (seed + n) }; }');
    const loaded = await load(source, { train: 20, eval: 10 }, { word: 'w' });
    if (!loaded.ok) throw new Error(loaded.error.message);
    expect(new Set([...loaded.taskset.train, ...loaded.taskset.eval].map(({ prompt }) => prompt))).toEqual(new Set(Array.from({ length: 30 }, (_, n) => `w${7 + n}`)));
  });
  test('comments do not change the hash of what it makes, another answer does', async () => {
    const hashOf = async (code: string) => {
      const loaded = await load(write('.ts', code), { train: 1, eval: 0 });
      return loaded.ok && loaded.taskset.hash;
    };
    const plain = await hashOf('export default [{ slug: "a", prompt: "1+1=", answer: 2 }];');
    expect(await hashOf('// sums\nexport default [{ slug: "a", prompt: "1+1=", answer: 2 }];')).toBe(plain);
    expect(await hashOf('export default [{ slug: "a", prompt: "1+1=", answer: 3 }];')).not.toBe(plain);
  });
  test('a row may name the module that its template is in', async () => {
    const module = write('.ts', 'export const templates = { async *add({ a, b }: { a: number; b: number }) { const answer: string = yield `${a}+${b}=`; yield Number(answer) === a + b; } };');
    const source = jsonl({ env: module, id: 'add', args: { a: 2, b: 3 } }, { env: module, id: 'add', args: { a: 4, b: 4 } });
    const loaded = await load(source);
    if (!loaded.ok) throw new Error(loaded.error.message);
    const tasks = [...loaded.taskset.train, ...loaded.taskset.eval];
    expect(tasks.find(({ id }) => id === 'add-001a8858')).toEqual({ id: 'add-001a8858', prompt: '2+3=', answer: null, args: { a: 2, b: 3 }, template: { id: 'add', source: module } });
    expect(loaded.taskset.files).toEqual([source, module]);
  });
  test.each([
    ['yields no text', 'yield 7;', /row \d: setup of t: gave a number as its prompt; expected a text/],
    ['ends at once', '', /row \d: setup of t: it ended before it yielded a prompt/],
    ['throws', 'throw new Error("no words");', /row \d: setup of t: no words/],
  ])('a template that %s stops the load', async (_name, body, message) => {
    expect(await told(write('.ts', `export const templates = { async *t() { ${body} } }; export default [{ id: "t" }, { id: "t", args: { n: 1 } }];`))).toMatch(message);
  });
});

test('a broken template module is watched together with the rows that name it', async () => {
  const module = write('.ts', 'export const templates = { async *t() { throw new Error("not yet"); } };');
  const source = jsonl({ env: module, id: 't' }, { env: module, id: 't', args: { n: 1 } });
  expect(await load(source)).toMatchObject({ ok: false, error: { message: expect.stringMatching(/not yet/), files: [source, module] } });
});

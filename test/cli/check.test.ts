import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { build, workspace } from './binary.ts';

beforeAll(() => build(), 180_000);

const smallest = `model: { fork: builtin:arith-tiny }
taskset: { source: builtin:arith }
reward: [{ kind: numeric_match }]
`;

async function checked(yaml: string, files: Record<string, string> = {}) {
  const folder = await workspace();
  await writeFile(join(folder.cwd, 'p.yaml'), yaml);
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder.cwd, name), text);
  return { ...folder, ...(await folder.run('check', 'p.yaml')) };
}

test('three lines are a pipeline, whose other values fit the model', async () => {
  await using folder = await checked(smallest);
  expect(folder).toMatchObject({ exitCode: 0, stdout: '' });
  const { stdout } = await folder.run('check', 'p.yaml', '--resolved');
  expect(stdout).toMatch(/\n {2}max_tokens: 32 +# from the model's context\n/);
  expect(stdout).toMatch(/\nname: p +# from the file name\n|^name: p +# from the file name\n/);
  expect(await folder.run('p.yaml', '--set', 'steps=1', '--set', 'taskset.split.eval=8')).toMatchObject({ exitCode: 0 });
});

test('what somebody writes is not changed', async () => {
  await using folder = await checked(`${smallest}agent: { max_tokens: 40 }\n`);
  expect((await folder.run('check', 'p.yaml', '--resolved')).stdout).toMatch(/\n {2}max_tokens: 40 +# p\.yaml:4\n/);
});

describe('check finds what a run would refuse:', () => {
  test.each([
    ['a built-in model that does not exist', smallest.replace('arith-tiny', 'arith-tinny'), 'error[not-loaded]: there is no built-in model "arith-tinny"\n  --> p.yaml:1:16\n'],
    ['a model that does not exist', smallest.replace('builtin:arith-tiny', 'somebody'), 'error[not-loaded]: there is no model "somebody"\n  --> p.yaml:1:16\n'],
    ['a model that cannot chat', `${smallest}agent: { kind: chat }\n`, 'error[not-loaded]: builtin:arith-tiny has no chat template, which agent: { kind: chat } needs\n  --> p.yaml:4:16\n'],
    ['prompts without room for an answer', `${smallest}agent: { max_tokens: 63 }\n`, "error[not-loaded]: no train prompt fits the model's context"],
  ])('%s', async (_, yaml, message) => {
    await using folder = await checked(yaml);
    expect(folder).toMatchObject({ exitCode: 2, stdout: '' });
    expect(folder.stderr).toContain(message);
  });

  test('a checkpoint that does not exist', async () => {
    await using folder = await checked(smallest);
    await folder.run('models', 'fork', 'builtin:arith-tiny', '--name', 'parent');
    const { stderr, exitCode } = await folder.run('check', 'p.yaml', '--set', 'model.fork=parent@step-000009');
    expect(exitCode).toBe(2);
    expect(stderr).toContain('error[not-loaded]: model "parent" has no checkpoint "step-000009"');
  });

  test('a model directory whose tokenizer is damaged', async () => {
    await using folder = await workspace();
    await mkdir(join(folder.cwd, 'base', 'onnx'), { recursive: true });
    await writeFile(join(folder.cwd, 'p.yaml'), smallest.replace('builtin:arith-tiny', './base'));
    await writeFile(join(folder.cwd, 'base', 'config.json'), '{}');
    await writeFile(join(folder.cwd, 'base', 'tokenizer.json'), '{');
    const { stderr, exitCode } = await folder.run('check', 'p.yaml');
    expect({ exitCode, isBug: stderr.includes('bug in rlrun') }).toEqual({ exitCode: 2, isBug: false });
    expect(stderr).toContain('--> p.yaml:1:16');
  });
});

describe('check warns of what a run would learn nothing from:', () => {
  const rows = [{ prompt: '1+1=', answer: '2' }, { prompt: '2+ä=', answer: '12345678901234567890' }, { prompt: '3+4=', answer: '7' }];
  const yaml = smallest.replace('builtin:arith }', './tasks.json, split: { train: 2, eval: 1 } }').replace('numeric_match', 'exact_match');

  test('answers longer than agent.max_tokens, and letters that the tokenizer lacks', async () => {
    await using folder = await checked(`${yaml}agent: { max_tokens: 8 }\n`, { 'tasks.json': JSON.stringify(rows.map((row) => ({ ...row, split: row.prompt === '3+4=' ? 'eval' : 'train' }))) });
    expect(folder).toMatchObject({ exitCode: 0, stdout: '' });
    expect(folder.stderr).toContain('warning[unsuited-tasks]: 1 of 2 answers are longer than agent.max_tokens, which is 8: the longest, of task ');
    expect(folder.stderr).toContain('has 20 tokens\n  --> p.yaml:4:22\n');
    expect(folder.stderr).toContain("warning[unsuited-tasks]: the model's tokenizer does not know the text of 1 of 2 tasks, for example ä");
    const told = (await folder.run('check', 'p.yaml', '--json')).stdout.trim().split('\n').map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(told.filter(({ code }) => code === 'unsuited-tasks')).toEqual([expect.objectContaining({ code: 'unsuited-tasks', severity: 'warning', file: 'p.yaml', line: 2 }), expect.objectContaining({ code: 'unsuited-tasks', line: 4 })]);
  });
});

test('a run whose built-in reward has no verdict on any task is refused, and nothing is made', async () => {
  await using folder = await checked(smallest.replace('builtin:arith ', 'builtin:reverse-text '));
  expect(folder.exitCode).toBe(2);
  const { stderr, exitCode } = await folder.run('p.yaml');
  expect(exitCode).toBe(2);
  expect(stderr).toMatch(/error: p\.yaml:3:9: no task gets a verdict: .*is not a number and nothing else/);
  expect(stderr).toContain('  rlrun check p.yaml tells more.\n');
  expect((await folder.run('models', 'list', '--quiet')).stdout).toBe('builtin:arith-tiny\n');
});

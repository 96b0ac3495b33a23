import { describe, expect, test } from 'vitest';
import { concealSet, concealer, formatDiagnostics, printResolved } from '../../src/config/index.ts';
import { load, loaded, needed } from './memory.ts';

const judged = (args: string): string => needed.replace('{ kind: numeric_match }', () => `{ kind: module, path: ./judge.ts, args: ${args} }`);
const files = (args: string) => ({ 'pipeline.yaml': judged(args), 'judge.ts': '' });
const argsOf = ({ stages }: { stages: readonly { reward: readonly object[] }[] }): unknown => (stages[0]!.reward[0] as { args: unknown }).args;

describe('what came from the environment', () => {
  const env = { KEY: 'sk-1234567', PIN: '4711', STEPS: '12', FOLDER: './data' };

  test('is told as its reference, inside a longer text too', async () => {
    const { pipeline, shown, origins } = await loaded(files('{ api_key: "${env:KEY}", header: "Bearer ${env:KEY}", pin: "${env:PIN}", other: "${env:NONE:-plain}" }'), { env });
    expect(argsOf(pipeline)).toEqual({ api_key: 'sk-1234567', header: 'Bearer sk-1234567', pin: 4711, other: 'plain' });
    expect(argsOf(shown)).toEqual({ api_key: '${env:KEY}', header: 'Bearer ${env:KEY}', pin: '${env:PIN}', other: '${env:NONE:-plain}' });
    expect(printResolved(origins)).toContain('header: Bearer ${env:KEY}');
    expect(`${printResolved(origins)}${JSON.stringify(shown)}`).not.toMatch(/sk-1234567|4711/);
  });

  test('is told as a value where it is a number among the settings', async () => {
    const { shown } = await loaded(`${needed}steps: "\${env:STEPS}"\n`, { env });
    expect(shown.stages[0]!.steps).toBe(12);
  });

  test('is a reference in paths and lists of words', async () => {
    const text = needed.replace('{ kind: numeric_match }', '{ kind: command, command: ["./judge", "--key=${env:KEY}"] }');
    const { pipeline, shown } = await loaded({ 'pipeline.yaml': text, judge: '' }, { env });
    expect(pipeline.stages[0]!.reward[0]).toMatchObject({ command: ['./judge', '--key=sk-1234567'] });
    expect(shown.stages[0]!.reward[0]).toMatchObject({ command: ['./judge', '--key=${env:KEY}'] });
  });

  test('is not quoted by what is wrong with it', async () => {
    const { diagnostics } = await load(`${needed}group: "\${env:KEY}"\n`, { env });
    expect(formatDiagnostics(diagnostics)).toContain('but this is the text "${env:KEY}"');
    expect(JSON.stringify(diagnostics)).not.toContain('sk-1234567');
  });

  test('reads the same again from what is printed, signs that stand for themselves included', async () => {
    const first = await loaded(files('{ a: "$${env:KEY}", b: "${env:KEY}" }'), { env });
    expect(argsOf(first.pipeline)).toEqual({ a: '${env:KEY}', b: 'sk-1234567' });
    const again = await loaded({ 'pipeline.yaml': printResolved(first.origins), 'judge.ts': '' }, { env });
    expect(argsOf(again.pipeline)).toEqual(argsOf(first.pipeline));
  });
});

describe('--set', () => {
  test.each(['reward.0.args.api_key=sk-1234567', 'reward.0.args={ apiKey: sk-1234567 }', 'reward.0.args.headers.Authorization=sk-1234567', 'reward.0.args={ env: { X: sk-1234567 } }'])('%s is not told', async (set) => {
    const { pipeline, shown, origins } = await loaded(files('{ model: judge }'), { sets: [set] });
    expect(JSON.stringify(argsOf(pipeline))).toContain('sk-1234567');
    expect(JSON.stringify(argsOf(shown))).toContain('(hidden)');
    expect(`${printResolved(origins)}${JSON.stringify(shown)}`).not.toContain('sk-1234567');
  });

  test('a wrong one is explained without it', async () => {
    const { diagnostics } = await load(files('{}'), { sets: ['reward.0.api_key=sk-1234567', 'reward.0.token=[sk-1234567'] });
    expect(formatDiagnostics(diagnostics)).toContain('--set reward.0.api_key=(hidden)');
    expect(formatDiagnostics(diagnostics)).not.toContain('sk-1234567');
  });

  test('other values are told', async () => {
    const { shown, secrets } = await loaded(needed, { sets: ['agent.max_tokens=7', 'train.micro_batch_tokens=2048'] });
    expect(shown.stages[0]!.agent.maxTokens).toBe(7);
    expect(secrets.size).toBe(0);
  });
});

test('words of a command line lose the values of secrets', () => {
  expect(['--set', 'a.api_key=x', '--set=a.token=y', 'agent.max_tokens=8', './key=1.yaml'].map(concealSet)).toEqual(['--set', 'a.api_key=(hidden)', '--set=a.token=(hidden)', 'agent.max_tokens=8', './key=1.yaml']);
});

test('a message is told without the secrets in it, also as JSON writes them', () => {
  const conceal = concealer(new Map([['se"cret', '${env:KEY}']]));
  expect(conceal('401 for se"cret')).toBe('401 for ${env:KEY}');
  expect(conceal(JSON.stringify({ message: '401 for se"cret' }))).toBe('{"message":"401 for ${env:KEY}"}');
});

import { readdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { diffPipelines, formatDiagnostics, hashPipeline, loadPipeline, printResolved, type ResolvedPipeline } from '../../src/config/index.ts';
import { loaded, needed } from './memory.ts';

const folder = new URL('../../pipelines/', import.meta.url);
const pipelines = readdirSync(folder).filter((name) => name.endsWith('.yaml'));

describe('the pipelines of the repository', () => {
  test.each(pipelines)('%s is valid, and says nothing without effect', async (file) => {
    const result = await loadPipeline({ file, directory: folder.pathname });
    expect(formatDiagnostics(result.diagnostics)).toBe('');
    expect(result.ok).toBe(true);
  });

  test.each(pipelines)('%s, printed as resolved and read again, is the same pipeline', async (file) => {
    const first = await loadPipeline({ file, directory: folder.pathname });
    if (!first.ok) throw new Error('not valid');
    const second = await loadPipeline({ file: 'pipeline.yaml', directory: folder.pathname, fileSystem: { ...(await real()), readFile: async () => printResolved(first.origins), size: async () => 1 } });
    expect(formatDiagnostics(second.diagnostics)).not.toContain('error');
    if (!second.ok) throw new Error('not valid');
    expect(withoutNames(second.pipeline)).toEqual(withoutNames(first.pipeline));
    expect(hashPipeline(second.pipeline)).toBe(hashPipeline({ ...first.pipeline, file: second.pipeline.file }));
  });
});

const real = async () => (await import('../../src/config/files.ts')).disk;
/** What printing does not keep: the file, the name of a preset, and what an export or eval stage inherits without reading it. */
const withoutNames = (pipeline: ResolvedPipeline) =>
  pipeline.stages.filter(({ kind }) => kind === 'grpo' || kind === 'sft').map((stage) => ({ ...stage, train: { ...stage.train, lossName: '' } }));

describe('--resolved', () => {
  test('shows every value and where it came from', async () => {
    const files = {
      'pipeline.yaml': `extends: ./base.yaml
agent: { max_tokens: \${env:LIMIT}, stop: ["\\n", "a: b"] }
train: { loss: dapo }
`.replace('${env:LIMIT}', '"${env:LIMIT}"'),
      'base.yaml': needed,
    };
    const { origins } = await loaded(files, { sets: ['group=4'], env: { LIMIT: '12' } });
    await expect(`${printResolved(origins)}\n`).toMatchFileSnapshot('resolved.txt');
  });

  test('what stages share stands at the top, once', async () => {
    const { origins } = await loaded(`${needed}steps:
  - { kind: grpo, steps: 1, train: { loss: grpo } }
  - { kind: grpo, steps: 2, train: { loss: dro }, taskset: { source: builtin:reverse-text } }
`);
    await expect(`${printResolved(origins)}\n`).toMatchFileSnapshot('resolved-stages.txt');
  });

  test('colours the origins with the function it is given', async () => {
    const { origins } = await loaded(needed);
    expect(printResolved(origins, { style: (text) => `<${text}>` })).toContain('<# default>');
  });
});

describe('the hash', () => {
  const hash = async (text: string) => hashPipeline((await loaded(text)).pipeline);

  test('does not see comments, spaces, key order, quotes or written-out defaults', async () => {
    const edited = `# a comment
reward:
  - kind: "numeric_match"

taskset: { split: { train: 1024 }, source: builtin:arith }   # another
model:
  fork: hub:org/tiny
group: 8
`;
    expect(await hash(edited)).toBe(await hash(needed));
  });

  test('does not see where the project lies', async () => {
    const files = { 'pipeline.yaml': needed.replace('builtin:arith', './tasks.jsonl'), 'tasks.jsonl': '' };
    const here = await loaded(files);
    const there = JSON.parse(JSON.stringify(here.pipeline).replaceAll('/project', '/home/ada/other')) as ResolvedPipeline;
    expect(hashPipeline(there)).toBe(hashPipeline(here.pipeline));
  });

  test('sees every change of meaning', async () => {
    const hashes = await Promise.all(['', 'group: 4\n', 'train: { loss: grpo }\n', 'seed: 1\n', 'agent: { stop: [a] }\n', 'steps: [{ kind: grpo, steps: 100, name: x }]\n'].map((extra) => hash(needed + extra)));
    expect(new Set(hashes).size).toBe(hashes.length);
  });
});

describe('the difference of two pipelines', () => {
  const diff = async (before: string, after: string) =>
    diffPipelines((await loaded(needed + before)).pipeline, (await loaded(needed + after)).pipeline).map((c) => `${c.path} ${c.before} → ${c.after}`);

  test('is told in the words of the file', async () => {
    expect(await diff('train: { learning_rate: 3e-4 }\n', 'train: { learning_rate: 1e-3 }\nruntime: { timeout: 90s }\nagent: { stop: [x] }\n')).toEqual([
      'agent.stop [] → ["x"]',
      'runtime.timeout 1m → 90s',
      'train.learning_rate 3e-4 → 1e-3',
    ]);
  });

  test('tells what a preset changes', async () => {
    expect(await diff('', 'train: { loss: dr_grpo }\n')).toEqual([
      'train.loss.kind importance_sampling → ppo',
      'train.loss.reduction sum → constant',
      'train.loss.ratio null → token',
      'train.loss.clip_low_threshold null → 0.8',
      'train.loss.clip_high_threshold null → 1.2',
      'train.loss.constant_length null → 64',
    ]);
  });

  test('tells a change of all stages once, and of one stage with its name', async () => {
    const steps = (digits: number) => `steps:\n  - { kind: grpo, steps: 1 }\n  - { kind: grpo, steps: 2, name: hard, taskset: { args: { digits: ${digits} } } }\n`;
    expect(await diff(steps(2), `${steps(3)}group: 4\n`)).toEqual(['group 8 → 4', 'steps[1] (hard) taskset.args.digits 2 → 3']);
  });

  test('of equal pipelines is empty', async () => {
    expect(await diff('# one\n', '# two\n')).toEqual([]);
  });

  test('tells rewards by their place in the list', async () => {
    const reward = (weight: number) => ({ 'pipeline.yaml': needed.replace('numeric_match', `numeric_match, weight: ${weight}`) });
    const changes = diffPipelines((await loaded(reward(1))).pipeline, (await loaded(reward(0.5))).pipeline);
    expect(changes).toEqual([{ path: 'reward[0].weight', before: '1', after: '0.5' }]);
  });
});


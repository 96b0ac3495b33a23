import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { disk } from '../../src/config/files.ts';
import { loadPipeline } from '../../src/config/index.ts';
import { load, loaded, needed } from './memory.ts';

const stageOf = async (...args: Parameters<typeof loaded>) => (await loaded(...args)).pipeline.stages[0]!;

describe('defaults', () => {
  test('a file with what is needed runs', async () => {
    const { pipeline, diagnostics, files } = await loaded(needed);
    expect(diagnostics).toEqual([]);
    expect(files).toEqual(['/project/pipeline.yaml']);
    expect(pipeline).toEqual({
      name: 'pipeline',
      seed: 0,
      file: '/project/pipeline.yaml',
      model: { fork: 'hub:org/tiny', name: 'pipeline', device: 'cpu', threads: 0, train: { method: 'full' } },
      stages: [
        {
          name: 'grpo',
          kind: 'grpo',
          steps: 100,
          group: 8,
          batch: 32,
          taskset: { source: 'builtin:arith', args: { operations: ['add'], digits: 2, negative: false }, split: { train: 1024, eval: 128 }, seed: 0 },
          agent: { kind: 'completion', system: null, templateArgs: {}, maxTokens: 64, temperature: 1, topP: 1, topK: 0, stop: [], maxSteps: 1, toolFormat: 'auto', maxToolCharacters: 8192 },
          tools: [],
          reward: [{ kind: 'numeric_match', name: 'numeric_match', weight: 1, tolerance: 0, relativeTolerance: 0 }],
          runtime: { kind: 'subprocess', command: [], cwd: '/project', env: [], concurrency: 4, setupTimeoutMs: 10_000, scoreTimeoutMs: 30_000, rolloutTimeoutMs: 60_000, memoryMb: 512 },
          train: {
            learningRate: 1e-5,
            schedule: { kind: 'constant', warmup: 0, final: 0 },
            beta1: 0.9,
            beta2: 0.95,
            eps: 1e-8,
            weightDecay: 0,
            maxGradNorm: 1,
            advantage: { normalize: 'none', ddof: 1, delta: 1e-4 },
            rewardScale: 1,
            loss: { kind: 'importance_sampling', reduction: 'sum' },
            lossName: 'importance_sampling',
            updates: 1,
            microBatchTokens: 4096, recompute: 'none',
          },
          eval: { every: 10, tasks: 128, samples: 0, baseline: true },
          promote: { when: 'always', metric: 'eval/reward', confidence: 0.95 },
          guard: { rollback: true, entropyFloor: 0.05, truncatedCeiling: 0.9, patience: 0, target: null },
          export: null,
        },
      ],
      watch: { onReward: 'continue' },
    });
  });

  test('limits of parts shrink with the limit of the whole', async () => {
    const { runtime } = await stageOf(`${needed}runtime: { timeout: 5s }\n`);
    expect(runtime).toMatchObject({ rolloutTimeoutMs: 5000, setupTimeoutMs: 5000, scoreTimeoutMs: 5000 });
  });

  test('a file name becomes a name that a model may have', async () => {
    const { pipeline } = await loaded({ 'My Run (2).yaml': needed }, { file: 'My Run (2).yaml' });
    expect([pipeline.name, pipeline.model.name]).toEqual(['my-run-2-', 'my-run-2-']);
  });

  test('rewards are named after their kind or module, and numbered', async () => {
    const reward = 'reward: [{ kind: f1 }, { kind: f1 }, { kind: module, path: ./score/brevity.ts }]\n';
    const { pipeline } = await loaded({ 'pipeline.yaml': needed.replace(/reward.*\n/, reward), 'score/brevity.ts': '' });
    expect(pipeline.stages[0]?.reward.map(({ name }) => name)).toEqual(['f1', 'f1_2', 'brevity']);
    expect(pipeline.stages[0]?.reward[2]).toMatchObject({ path: '/project/score/brevity.ts', args: {} });
  });
});

describe('loss presets', () => {
  test.each([
    ['importance_sampling', { kind: 'importance_sampling', reduction: 'sum' }, 'none'],
    ['ppo', { kind: 'ppo', ratio: 'token', clipLowThreshold: 0.8, clipHighThreshold: 1.2, reduction: 'sum' }, 'none'],
    ['cispo', { kind: 'cispo', clipLowThreshold: 0, clipHighThreshold: 5, reduction: 'token_mean' }, 'std'],
    ['dro', { kind: 'dro', beta: 0.05, reduction: 'sum' }, 'none'],
    ['cross_entropy', { kind: 'cross_entropy', reduction: 'sum' }, 'none'],
    ['grpo', { kind: 'ppo', ratio: 'token', clipLowThreshold: 0.8, clipHighThreshold: 1.2, reduction: 'sequence_mean' }, 'std'],
    ['dr_grpo', { kind: 'ppo', ratio: 'token', clipLowThreshold: 0.8, clipHighThreshold: 1.2, reduction: 'constant', constantLength: 16 }, 'none'],
    ['dapo', { kind: 'ppo', ratio: 'token', clipLowThreshold: 0.8, clipHighThreshold: 1.28, reduction: 'token_mean' }, 'std'],
    ['gspo', { kind: 'ppo', ratio: 'sequence', clipLowThreshold: 0.9997, clipHighThreshold: 1.0004, reduction: 'sequence_mean' }, 'std'],
  ])('%s', async (name, loss, normalize) => {
    const { train } = await stageOf(`${needed}agent: { max_tokens: 16 }\ntrain: { loss: ${name} }\n`);
    expect(train.loss).toEqual(loss);
    expect(train.lossName).toBe(name);
    expect(train.advantage).toEqual({ normalize, ddof: 1, delta: 1e-4 });
  });

  test('advantages that the file chooses stay', async () => {
    const { train } = await stageOf(`${needed}train: { loss: cispo, advantage: { normalize: leave_one_out } }\n`);
    expect(train.advantage.normalize).toBe('leave_one_out');
  });

  test('explicit fields reach the loss', async () => {
    const { train } = await stageOf(`${needed}train: { loss: { kind: ppo, dual_clip: 3, kl: { coefficient: 0.04 }, entropy_bonus: 0.01 } }\n`);
    expect(train.loss).toEqual({ kind: 'ppo', ratio: 'token', clipLowThreshold: 0.8, clipHighThreshold: 1.2, dualClip: 3, reduction: 'sum', kl: { coefficient: 0.04, estimator: 'k3' }, entropyBonus: 0.01 });
    expect(train.lossName).toBe('ppo');
  });

  test('a loss module is a path', async () => {
    const { pipeline } = await loaded({ 'pipeline.yaml': `${needed}train: { loss: { kind: module, path: ./sapo.ts } }\n`, 'sapo.ts': '' });
    expect(pipeline.stages[0]?.train.loss).toEqual({ kind: 'module', path: '/project/sapo.ts', reduction: 'token_mean' });
  });
});

describe('stages', () => {
  test('inherit, override, and are named', async () => {
    const { pipeline } = await loaded(`${needed}
agent: { max_tokens: 8 }
train: { learning_rate: 1e-4, loss: grpo }
steps:
  - { kind: sft, steps: 5, train: { learning_rate: 1e-3 } }
  - { kind: grpo, steps: 10, taskset: { args: { digits: 1 } } }
  - { kind: grpo, steps: 20, name: hard, group: 4, reward: [{ kind: exact_match }] }
  - { kind: eval, eval: { samples: 4 } }
  - { kind: export, directory: ./out, dtype: q8 }
`);
    expect(pipeline.stages.map(({ name, kind, steps, group }) => [name, kind, steps, group])).toEqual([
      ['sft', 'sft', 5, 1],
      ['grpo', 'grpo', 10, 8],
      ['hard', 'grpo', 20, 4],
      ['eval', 'eval', 0, 8],
      ['export', 'export', 0, 8],
    ]);
    const [sft, easy, hard, evaluation, exported] = pipeline.stages;
    expect(sft?.train).toMatchObject({ learningRate: 1e-3, loss: { kind: 'cross_entropy', reduction: 'token_mean' }, lossName: 'cross_entropy' });
    expect(easy?.train).toMatchObject({ learningRate: 1e-4, lossName: 'grpo' });
    expect(easy?.taskset.args).toEqual({ operations: ['add'], digits: 1, negative: false });
    expect(hard?.taskset.args).toMatchObject({ digits: 2 });
    expect(hard?.reward).toEqual([{ kind: 'exact_match', name: 'exact_match', weight: 1 }]);
    expect(evaluation?.eval).toMatchObject({ samples: 4, every: 10 });
    expect(exported?.export).toEqual({ directory: '/project/out', format: 'transformers.js', dtype: 'q8' });
  });

  test('another taskset starts with its own arguments', async () => {
    const { pipeline } = await loaded(`${needed.replace('builtin:arith', 'builtin:arith, args: { digits: 3 }')}steps: [{ kind: grpo, steps: 1, taskset: { source: builtin:reverse-text } }]\n`);
    expect(pipeline.stages[0]?.taskset.args).not.toHaveProperty('digits');
  });

  test('another kind of loss starts with its own fields', async () => {
    const { pipeline } = await loaded(`${needed}train: { loss: { kind: dro, beta: 0.1 } }\nsteps: [{ kind: grpo, steps: 1, train: { loss: { kind: cispo } } }]\n`);
    expect(pipeline.stages[0]?.train.loss).toEqual({ kind: 'cispo', clipLowThreshold: 0, clipHighThreshold: 5, reduction: 'token_mean' });
  });
});

describe('extends', () => {
  test('maps merge, scalars and lists replace, later bases win, the file wins over all', async () => {
    const { pipeline, files } = await loaded({
      'pipeline.yaml': 'extends: [./a.yaml, ./b.yaml]\ntrain: { learning_rate: 3e-3 }\n',
      'a.yaml': `${needed}group: 2\ntrain: { learning_rate: 1e-3, beta1: 0.8, weight_decay: 0.1 }\nagent: { stop: [x, y] }\n`,
      'b.yaml': 'group: 4\ntrain: { beta1: 0.7 }\nagent: { stop: [z] }\n',
    });
    const [stage] = pipeline.stages;
    expect(stage).toMatchObject({ group: 4, train: { learningRate: 3e-3, beta1: 0.7, weightDecay: 0.1 }, agent: { stop: ['z'] } });
    expect(files).toEqual(['/project/pipeline.yaml', '/project/a.yaml', '/project/b.yaml']);
  });

  test('a path belongs to the file that wrote it', async () => {
    const { pipeline } = await loaded({
      'pipeline.yaml': 'extends: ./shared/base.yaml\n',
      'shared/base.yaml': 'extends: ./deep/model.yaml\ntaskset: { source: ./tasks.jsonl }\nreward: [{ kind: command, command: [python3, score.py] }]\n',
      'shared/deep/model.yaml': 'model: { fork: ./weights, name: tiny }\n',
      'shared/tasks.jsonl': '',
      'shared/deep/weights/config.json': '{}',
    });
    expect(pipeline.model.fork).toBe('/project/shared/deep/weights');
    expect(pipeline.stages[0]?.taskset.source).toBe('/project/shared/tasks.jsonl');
    expect(pipeline.stages[0]?.reward[0]).toMatchObject({ cwd: '/project/shared' });
  });

  test('two files may share a base', async () => {
    const result = await load({ 'pipeline.yaml': `extends: [./a.yaml, ./b.yaml]\n${needed}`, 'a.yaml': 'extends: ./c.yaml\n', 'b.yaml': 'extends: ./c.yaml\n', 'c.yaml': 'seed: 3\n' });
    expect(result).toMatchObject({ ok: true, pipeline: { seed: 3 } });
  });

  test('a base that is missing is still watched', async () => {
    const result = await load(`extends: ./base.yaml\n${needed}`);
    expect(result).toMatchObject({ ok: false, files: ['/project/pipeline.yaml', '/project/base.yaml'] });
  });

  test('endless chains end', async () => {
    const files = Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`${i}.yaml`, `extends: ./${i + 1}.yaml\n`]));
    const result = await load({ 'pipeline.yaml': `extends: ./0.yaml\n${needed}`, ...files });
    expect(result.diagnostics.map(({ code, message }) => [code, message])).toEqual([['extends-too-deep', 'more than 16 files extend each other']]);
  });
});

describe('problems of reading', () => {
  test('do not hide what else is wrong, and are told once', async () => {
    const result = await load(`${needed}seed: \${env:NOWHERE}\ngroup: *missing\nbatch: 4\nbatch: 8\ntrain: { learnin_rate: 1 }\n`);
    expect(result.diagnostics.map(({ code }) => code)).toEqual(['unknown-variable', 'unknown-alias', 'duplicate-key', 'unknown-key']);
  });

  test('files that extend several others do not multiply', async () => {
    const files = Object.fromEntries(Array.from({ length: 15 }, (_, i) => [`${i}.yaml`, `extends: [./${i + 1}.yaml, ./${i + 1}.yaml]\n`]));
    const result = await load({ 'pipeline.yaml': `extends: ./0.yaml\n${needed}`, ...files, '15.yaml': '' });
    expect(result.diagnostics.map(({ message }) => message)).toContain('more than 100 files are extended');
  });
});

describe('--set', () => {
  test('wins over the file, is typed, and indexes lists', async () => {
    const { pipeline } = await loaded(`${needed}group: 2\n`, {
      sets: ['group=4', 'train.learning_rate=3e-4', 'reward.0.weight=0.5', 'agent.stop=[a, "b,c"]', 'name="2024"', 'eval.baseline=false', 'model.train={ method: lora, rank: 4 }', 'agent.system=a=b'],
    });
    expect(pipeline).toMatchObject({ name: '2024', model: { train: { method: 'lora', rank: 4, alpha: 32, targets: ['all-linear'], seed: 0 } } });
    expect(pipeline.stages[0]).toMatchObject({ group: 4, train: { learningRate: 3e-4 }, reward: [{ weight: 0.5 }], agent: { stop: ['a', 'b,c'], system: 'a=b' }, eval: { baseline: false } });
  });

  test('the last one of a path wins', async () => {
    expect((await stageOf(needed, { sets: ['group=4', 'group=16'] })).group).toBe(16);
  });

  test('a path in it belongs to the current directory', async () => {
    const { pipeline } = await loaded({ 'sub/pipeline.yaml': needed, 'tasks.jsonl': '' }, { file: 'sub/pipeline.yaml', sets: ['taskset.source=./tasks.jsonl'] });
    expect(pipeline.stages[0]?.taskset.source).toBe('/project/tasks.jsonl');
  });

  test('takes the place of a scalar on its way', async () => {
    const { train } = await stageOf(`${needed}train: { loss: grpo }\n`, { sets: ['train.loss.kind=dro', 'train.loss.beta=0.1'] });
    expect(train.loss).toEqual({ kind: 'dro', beta: 0.1, reduction: 'sum' });
  });
});

describe('environment variables', () => {
  const env = { STEPS: '25', WHO: 'ada', EMPTY: '' };
  test('a value that is one reference has the type of its content', async () => {
    expect((await stageOf(`${needed}steps: \${env:STEPS}\n`, { env })).steps).toBe(25);
    expect((await stageOf(`${needed}train: { updates: "\${env:N:-2}", loss: ppo }\n`, { env })).train.updates).toBe(2);
  });

  test('inside a text it is text; an empty variable takes the default; $$ escapes', async () => {
    const { pipeline } = await loaded(`${needed}name: run-\${env:WHO}-\${env:STEPS}-\${env:EMPTY:-none}\nagent: { kind: chat, system: "$\${env:WHO} \${other}" }\n`, { env });
    expect(pipeline.name).toBe('run-ada-25-none');
    expect(pipeline.stages[0]?.agent.system).toBe('${env:WHO} ${other}');
  });
});

describe('YAML', () => {
  test('anchors, aliases and merge keys mean what YAML says', async () => {
    const stage = await stageOf(`x-sampling: &sampling { max_tokens: 8, temperature: 0.7 }
x-stops: &stops [a, b]
agent:
  <<: [*sampling, { temperature: 0.1, top_k: 0 }]
  max_tokens: 16
  stop: *stops
${needed}`);
    expect(stage.agent).toMatchObject({ maxTokens: 16, temperature: 0.7, topK: 0, stop: ['a', 'b'] });
  });

  test('numbers and words are those of YAML 1.2', async () => {
    const stage = await stageOf(`${needed}group: 0o10\nbatch: 010\ntrain: { learning_rate: 1e-3 }\nagent: { kind: chat, system: no }\n`);
    expect([stage.group, stage.batch, stage.train.learningRate, stage.agent.system]).toEqual([8, 10, 1e-3, 'no']);
  });

  test('Windows line ends change nothing', async () => {
    const unix = await loaded(`${needed}group: 4\n`);
    const windows = await loaded(`${needed}group: 4\n`.replaceAll('\n', '\r\n'));
    expect(windows.pipeline).toEqual(unix.pipeline);
  });
});

test('the pipeline in README.md runs as it stands, in pipelines/', async () => {
  const root = path.resolve(import.meta.dirname, '../..');
  const readme = path.join(root, 'pipelines', 'readme.yaml');
  const text = /```yaml\n(.*?)```/s.exec(readFileSync(path.join(root, 'README.md'), 'utf8'))![1]!;
  const fileSystem = {
    ...disk,
    readFile: async (file: string) => (file === readme ? text : disk.readFile(file)),
    exists: async (file: string) => file === readme || disk.exists(file),
    size: async (file: string) => (file === readme ? Buffer.byteLength(text) : disk.size(file)),
  };
  const result = await loadPipeline({ file: 'pipelines/readme.yaml', directory: root, fileSystem });
  expect(result).toMatchObject({ ok: true, diagnostics: [] });
});

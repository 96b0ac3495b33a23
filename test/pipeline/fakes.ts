/**
 * Small honest stand-ins for the rooms below the loop: a policy that is a table of logits, but really samples by counter and really learns by
 * gradient; a checkpoint tree of JSON files; tasks that such a policy can learn.
 */
import { mkdir, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createAgent } from '../../src/agents/index.ts';
import type { ResolvedPipeline, StageSettings } from '../../src/config/types.ts';
import type { Emit, EventData, EventType, JobEvent } from '../../src/events.ts';
import type { Checkpoint } from '../../src/models/types.ts';
import type { ModelLine, StageMaterials } from '../../src/pipeline/loop.ts';
import type { AdamParams, Engine, Loss, SampleRequest, Tokenizer, TrainingBatch } from '../../src/policy/types.ts';
import type { Scorer } from '../../src/rewards/types.ts';
import type { Task, Taskset } from '../../src/tasks/types.ts';
import { uniform } from '../../src/util/random.ts';

export const ALPHABET = '0123abcd=.';
const STOP = ALPHABET.indexOf('.');
const VOCABULARY = ALPHABET.length;

export const tokenizer: Tokenizer = {
  encode: (text) => [...text].map((character) => ALPHABET.indexOf(character)),
  decode: (ids) => ids.map((id) => (id === STOP ? '' : ALPHABET[id])).join(''),
  applyChatTemplate: null,
  endTokenIds: [STOP],
  answerEnds: { completion: [STOP], chat: [STOP] },
  unknownTokenId: null,
};

/** A task names a letter and some digits that mean nothing; its answer is the letter's place. The policy sees the letter alone. */
export function letterTasks({ train = 24, held = 8 } = {}): Taskset {
  const task = (index: number, split: string): Task => {
    const letter = index % 4;
    return { id: `${split}-${index}`, prompt: `${'abcd'[letter]}${(index >> 2) % 4}=`, answer: String(letter), args: { index } };
  };
  return {
    name: 'letters',
    train: Array.from({ length: train }, (_, index) => task(index, 'train')),
    eval: Array.from({ length: held }, (_, index) => task(index, 'eval')),
    hash: 'letters',
    files: [],
  };
}

/** Half for the right digit, all for nothing but the right digit. */
const halfAndWhole = (completion: string, { answer }: Task) => (Number(completion[0] === answer) + Number(completion === answer)) / 2;

/** `judge` gives the reward, abstains with null, or throws. */
export function letterScorer(judge: (completion: string, task: Task) => number | null = halfAndWhole): Scorer {
  return {
    hash: 'exact',
    files: [],
    refuses: () => null,
    async score({ task, completion }) {
      try {
        const reward = judge(completion, task);
        return { ok: true, score: { reward, subscores: [{ name: 'match', value: reward, weight: 1 }] } };
      } catch (error) {
        return { ok: false, error: { phase: 'scoring', type: 'exception', message: (error as Error).message } };
      }
    },
    [Symbol.asyncDispose]: async () => {},
  };
}

interface State {
  logits: Record<string, number[]>;
  first: Record<string, number[]>;
  second: Record<string, number[]>;
  updates: number;
}

const blank = (): State => ({ logits: {}, first: {}, second: {}, updates: 0 });

export interface FakeEngine extends Engine {
  state: State;
  /** Called before each update with how many were asked for so far, this one included; returning a name refuses it. */
  refuse: (asked: number) => string | null;
}

/** A policy over `ALPHABET`, one row of logits per (first prompt token, place in the output). */
export function fakeEngine(): FakeEngine {
  let gradients: Record<string, number[]> = {};
  let asked = 0;
  const row = (table: Record<string, number[]>, name: string) => (table[name] ??= new Array<number>(VOCABULARY).fill(0));
  const probabilities = (name: string, temperature: number) => {
    const scaled = row(engine.state.logits, name).map((logit) => logit / (temperature || 1));
    const top = Math.max(...scaled);
    const exponentials = scaled.map((logit) => Math.exp(logit - top));
    const total = exponentials.reduce((a, b) => a + b, 0);
    return exponentials.map((value) => value / total);
  };
  const draw = (request: SampleRequest) => {
    const [outputTokenIds, outputLogprobs] = [[] as number[], [] as number[]];
    while (outputTokenIds.length < request.maxTokens) {
      const p = probabilities(`${request.promptTokenIds[0]}/${outputTokenIds.length}`, request.temperature);
      let token = p.indexOf(Math.max(...p));
      if (request.temperature > 0) {
        const u = uniform(request.key, outputTokenIds.length);
        let mass = 0;
        token = p.findIndex((value) => (mass += value) >= u);
        if (token === -1) token = VOCABULARY - 1;
      }
      outputTokenIds.push(token);
      outputLogprobs.push(Math.log(p[token]!));
      if (request.stopTokenIds.includes(token)) return { id: request.id, outputTokenIds, outputLogprobs, stopReason: 'stop' as const };
    }
    return { id: request.id, outputTokenIds, outputLogprobs, stopReason: 'length' as const };
  };
  const engine: FakeEngine = {
    state: blank(),
    refuse: () => null,
    info: { parameters: VOCABULARY, trainableParameters: VOCABULARY, contextLength: 64, vocabularySize: VOCABULARY, parameterShapes: [] },
    sampler: {
      async *sample(requests, { signal, onToken, onDrawn } = {}) {
        // All with the weights as they are when it is asked. The last comes first: nothing above may depend on the order in which samples end.
        for (const { request, sample } of requests.map((request) => ({ request, sample: draw(request) })).reverse()) {
          signal?.throwIfAborted();
          sample.outputTokenIds.forEach((token, index) => onToken?.(request.id, token, sample.outputLogprobs[index]!));
          yield sample;
        }
        onDrawn?.(250);
      },
      release() {},
    },
    trainer: {
      async forwardBackward(batch: TrainingBatch, loss: Loss) {
        const tokenCount = batch.tokenCount ?? batch.sequences.flatMap((s) => s.actionMask).reduce((a: number, b) => a + b, 0);
        let [total, tokens, entropy] = [0, 0, 0];
        for (const sequence of batch.sequences) {
          const prompt = sequence.actionMask.indexOf(1);
          sequence.tokenIds.forEach((token, index) => {
            if (sequence.actionMask[index] === 0) return;
            const name = `${sequence.tokenIds[0]}/${index - prompt}`;
            const p = probabilities(name, sequence.temperature);
            const logprob = Math.log(p[token]!);
            const advantage = sequence.advantages[index]!;
            const scale = loss.reduction === 'token_mean' ? 1 / tokenCount : 1;
            const ratio = loss.kind === 'cross_entropy' ? 1 : Math.exp(logprob - sequence.samplingLogprobs[index]!);
            total -= scale * advantage * (loss.kind === 'cross_entropy' ? logprob : ratio);
            const gradient = row(gradients, name);
            p.forEach((value, other) => {
              gradient[other]! -= (scale * ratio * advantage * (Number(other === token) - value)) / sequence.temperature;
            });
            entropy -= p.reduce((sum, value) => sum + (value > 0 ? value * Math.log(value) : 0), 0);
            tokens++;
          });
        }
        return { metrics: { 'loss:sum': total, entropy: entropy / tokens }, sequences: batch.sequences.length, tokens };
      },
      async zeroGrad() {
        gradients = {};
      },
      async forward() {
        throw new Error('not needed by the loop');
      },
      async update(adam: AdamParams) {
        const culprit = engine.refuse(++asked);
        const taken = gradients;
        gradients = {};
        if (culprit) return { refused: true, parameter: culprit, message: `the gradient of ${culprit} is not finite` };
        const { state } = engine;
        state.updates++;
        for (const [name, gradient] of Object.entries(taken)) {
          const [weights, m, v] = [row(state.logits, name), row(state.first, name), row(state.second, name)];
          gradient.forEach((g, index) => {
            m[index] = adam.beta1 * m[index]! + (1 - adam.beta1) * g;
            v[index] = adam.beta2 * v[index]! + (1 - adam.beta2) * g * g;
            const step = m[index]! / (1 - adam.beta1 ** state.updates) / (Math.sqrt(v[index]! / (1 - adam.beta2 ** state.updates)) + adam.eps);
            weights[index]! -= adam.learningRate * step;
          });
        }
        return { metrics: { grad_norm: Math.hypot(...Object.values(taken).flat()) } };
      },
    },
    async writeState(directory) {
      await writeFile(join(directory, 'state.json'), JSON.stringify(engine.state));
    },
    async readState(directory) {
      gradients = {};
      engine.state = JSON.parse(await readFile(join(directory, 'state.json'), 'utf8')) as State;
    },
    async reset() {
      gradients = {};
      engine.state = blank();
    },
    async close() {},
    [Symbol.asyncDispose]: async () => {},
  };
  return engine;
}

/** A checkpoint tree in a folder: one directory per checkpoint, renamed into place, then the head. */
export async function diskLine(root: string): Promise<ModelLine> {
  await mkdir(join(root, 'checkpoints'), { recursive: true });
  const read = async (id: string) => JSON.parse(await readFile(join(root, 'checkpoints', id, 'checkpoint.json'), 'utf8')) as Checkpoint;
  const directoryOf = (id: string) => join(root, 'checkpoints', id);
  const line: ModelLine = {
    record: { slug: 'letters', base: 'fake', createdAt: '', baseDirectory: root, train: { method: 'full' }, source: null },
    async head() {
      const id = await readFile(join(root, 'head'), 'utf8').catch(() => '');
      return id ? read(id) : null;
    },
    async checkpoints() {
      const names = (await readdir(join(root, 'checkpoints'))).filter((name) => !name.endsWith('.tmp'));
      return (await Promise.all(names.map(read))).sort((a, b) => a.step - b.step);
    },
    scan: async () => ({ checkpoints: await line.checkpoints(), problems: [] }),
    async commit(draft, { promote, write }) {
      const taken = new Set(await readdir(join(root, 'checkpoints')));
      const name = `step-${String(draft.step).padStart(6, '0')}`;
      let id = name;
      for (let copy = 2; taken.has(id); copy++) id = `${name}-${copy}`;
      const [final, temporary] = [directoryOf(id), `${directoryOf(id)}.tmp`];
      await rm(temporary, { recursive: true, force: true });
      await mkdir(temporary);
      await write(temporary);
      const checkpoint = { ...draft, id, name, createdAt: new Date(0).toISOString() };
      await writeFile(join(temporary, 'checkpoint.json'), JSON.stringify(checkpoint));
      await rename(temporary, final);
      if (promote) await line.setHead(id);
      return checkpoint;
    },
    async setHead(id) {
      await writeFile(join(root, 'head.tmp'), id ?? '');
      await rename(join(root, 'head.tmp'), join(root, 'head'));
    },
    checkLock: async () => {},
    pruneTo: async () => ({ pruned: [], bytes: 0 }),
    async verifiedDirectory(id) {
      const names = await readdir(directoryOf(id));
      if (names.length < 2) throw Object.assign(new Error(`checkpoint ${id} is damaged`), { kind: 'invalid', fix: 'Move the head' });
      return directoryOf(id);
    },
  };
  return line;
}

type Deep<T> = { [K in keyof T]?: T[K] extends object | null ? Partial<T[K]> : T[K] };

export function stage(changes: Deep<StageSettings> = {}): StageSettings {
  const base: StageSettings = {
    name: 'grpo',
    kind: 'grpo',
    steps: 12,
    group: 6,
    batch: 8,
    taskset: { source: 'fake', args: {}, split: { train: 24, eval: 8 }, seed: 0 },
    agent: { kind: 'completion', system: null, templateArgs: {}, maxTokens: 2, temperature: 1, topP: 1, topK: 0, stop: [], maxSteps: 1, toolFormat: 'auto', maxToolCharacters: 8192 },
    tools: [],
    reward: [{ name: 'match', weight: 1, kind: 'exact_match' }],
    runtime: { kind: 'local', command: [], cwd: '.', env: [], concurrency: 4, setupTimeoutMs: 1000, scoreTimeoutMs: 1000, rolloutTimeoutMs: 2000, memoryMb: 64 },
    train: {
      learningRate: 0.3,
      schedule: { kind: 'constant', warmup: 0, final: 1 },
      beta1: 0.9,
      beta2: 0.95,
      eps: 1e-8,
      weightDecay: 0,
      maxGradNorm: 0,
      advantage: { normalize: 'none', ddof: 1, delta: 1e-6 },
      rewardScale: 1,
      loss: { kind: 'importance_sampling', reduction: 'sum' },
      lossName: 'importance_sampling',
      updates: 1,
      microBatchTokens: 1024,
      recompute: 'none',
    },
    eval: { every: 4, tasks: 8, samples: 4, baseline: true },
    promote: { when: 'always', metric: 'eval/reward', confidence: 0.95 },
    guard: { rollback: true, entropyFloor: 0.1, truncatedCeiling: 0.9, patience: 0, target: null },
    export: null,
  };
  const merged = Object.entries(changes).map(([key, value]) => {
    const before = base[key as keyof StageSettings];
    const isMap = value !== null && typeof value === 'object' && !Array.isArray(value) && before !== null;
    return [key, isMap ? { ...(before as object), ...value } : value];
  });
  return { ...base, ...(Object.fromEntries(merged) as Partial<StageSettings>) };
}

export function pipeline(stages: readonly StageSettings[], seed = 7): ResolvedPipeline {
  return {
    name: 'letters',
    seed,
    file: '/letters.yaml',
    model: { fork: 'fake', name: 'letters', device: 'cpu', threads: 1, train: { method: 'full' } },
    stages,
    watch: { onReward: 'continue' },
  };
}

export const materialsOf = (settings: StageSettings, parts: Partial<StageMaterials> = {}): StageMaterials => ({
  taskset: letterTasks(),
  scorer: letterScorer(),
  surroundings: null,
  agent: createAgent({ settings: settings.agent, tokenizer, contextLength: 64 }),
  ...parts,
});

/** Collects events; `of` picks those of one type. */
export function recorder() {
  const events: JobEvent[] = [];
  const emit: Emit = (type, data) => void events.push({ type, time: events.length, ...data } as JobEvent);
  const of = <K extends EventType>(type: K) => events.filter((event) => event.type === type) as unknown as ({ type: K; time: number } & EventData[K])[];
  return { events, emit, of };
}

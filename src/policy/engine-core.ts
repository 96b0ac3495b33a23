/** @file The engine as it runs inside its worker: one set of weights, sampled and trained. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Metrics } from '../events.ts';
import { Builder, OnnxError, createSession, f32, readModel, release, type HostTensor, type Model, type Session } from '../onnx/index.ts';
import { readSafetensors, writeSafetensors, type Safetensors } from '../models/index.ts';
import { prepareDecoder, type Decoder } from './decoder.ts';
import { KeptTexts } from './kept-texts.ts';
import { bytesPerToken, KeyValueCache } from './key-value-cache.ts';
import { loadLoss } from './losses/module.ts';
import { denominators } from './losses/weights.ts';
import { LossMetricsSum } from './metrics.ts';
import { atPositions, isShared, microBatches, scoredOf, trainingFeeds, type MicroBatchOptions, type Row } from './micro-batches.ts';
import { applyAdam, globalNorm, initAdam, nonFinite, type AdamState } from './optimizer.ts';
import { samplingGraph } from './sampling-graph.ts';
import { ContinuousSampler, type SampleControls } from './sampler.ts';
import { isMissing, readLimits, type ModelLimits } from './model-limits.ts';
import { loadTokenizer } from './tokenizer/load-tokenizer.ts';
import { scoringGraph, trainingGraph } from './training-graph.ts';
import type { AdamParams, EngineInfo, EngineOptions, Loss, LossMetrics, RefusedUpdate, SampleRequest, TrainingBatch, UpdateMetrics } from './types.ts';

/** About 20,000 tokens of a model of 135 million parameters. */
const KEPT_BYTES = 2 ** 30;

export class EngineCore {
  readonly info: EngineInfo;
  readonly #options: EngineOptions;
  readonly #decoder: Decoder;
  readonly #weights: Map<string, Float32Array>;
  readonly #gradients: Map<string, Float32Array>;
  readonly #reference: Record<string, HostTensor> | null;
  readonly #kept: KeptTexts;
  readonly #sampler: ContinuousSampler;
  readonly #rows: MicroBatchOptions;
  readonly #sessions = new Map<string, Promise<Session>>();
  #adam: AdamState;
  #hasGradients = false;
  #decode: Promise<(ids: readonly number[]) => string> | undefined;

  private constructor(options: EngineOptions, decoder: Decoder, { contextLength, sharedWidth }: ModelLimits) {
    this.#options = options;
    this.#decoder = decoder;
    this.#rows = { budget: options.microBatchTokens, sharedWidth: decoder.shared === null ? 0 : sharedWidth };
    this.#weights = new Map(decoder.parameters.map(({ name, initial }) => [name, initial.slice()]));
    this.#gradients = new Map(decoder.parameters.map(({ name, initial }) => [name, new Float32Array(initial.length)]));
    this.#adam = initAdam(this.#weights);
    this.#reference = options.reference ? tensorsOf(decoder, new Map(decoder.parameters.map(({ name, initial }) => [name, initial]))) : null;
    const trainable = decoder.parameters.reduce((sum, { initial }) => sum + initial.length, 0);
    this.info = {
      parameters: options.train.method === 'full' ? trainable : decoder.size + trainable,
      trainableParameters: trainable,
      contextLength,
      vocabularySize: decoder.vocabularySize,
      parameterShapes: decoder.parameters.map(({ name, dims }) => ({ name, shape: [...dims] })),
    };
    const newCache = (): KeyValueCache => new KeyValueCache(decoder.cache, decoder.cacheAlignment);
    this.#kept = new KeptTexts({ budget: options.keptBytes ?? KEPT_BYTES, bytesPerToken: bytesPerToken(decoder.cache) });
    this.#sampler = new ContinuousSampler({
      newCache, kept: this.#kept, readingCache: newCache(), info: this.info, maxRows: options.maxRows,
      parameters: tensorsOf(decoder, this.#weights),
      session: (head) => this.#session(`sampling ${JSON.stringify(head)}`, () => samplingGraph(decoder.sampling, head)),
      textDecoder: () => this.#textDecoder(),
    });
  }

  /** Reads the model directory, derives the graphs and tries the device; sessions are compiled when they are first needed. */
  static async open(options: EngineOptions): Promise<EngineCore> {
    const limits = await readLimits(join(options.modelDirectory, 'config.json'));
    const path = join(options.modelDirectory, 'onnx', 'model.onnx');
    if (!existsSync(path)) throw new Error(`${path} does not exist; a model directory holds config.json, tokenizer files and onnx/model.onnx`);
    const engine = new EngineCore(options, prepareDecoder(readModel(path), options.train), limits);
    if (options.device !== 'cpu') await engine.#tryDevice();
    return engine;
  }

  /** Kept until the engine closes: a GPU is held as long as any session of it. */
  async #tryDevice(): Promise<void> {
    const b = new Builder();
    b.output('y', b.add(b.input('x', 'float32', [1]), 1));
    await this.#session('device', () => b.build()).catch((error: unknown) => {
      // Another device has to be asked for; nothing is wrong with the model.
      throw Object.assign(error as Error, { kind: 'usage' });
    });
  }

  #session(key: string, build: () => Model): Promise<Session> {
    let session = this.#sessions.get(key);
    if (session === undefined) {
      const { device, threads } = this.#options;
      // Rows and their lengths differ from run to run, and a memory pattern is kept for every combination that ever was.
      session = createSession(build(), { device, threads, memoryPattern: false });
      this.#sessions.set(key, session);
      session.catch(() => this.#sessions.delete(key));
    }
    return session;
  }

  // ---- sampling ----------------------------------------------------------------------------------------------------

  sample(requests: readonly SampleRequest[], controls: SampleControls): Promise<void> {
    return this.#sampler.sample(requests, controls);
  }

  release(tokenIds: readonly number[]): void { this.#kept.release(tokenIds); }

  #textDecoder(): Promise<(ids: readonly number[]) => string> {
    return (this.#decode ??= loadTokenizer(this.#options.modelDirectory).then((tokenizer) => (ids) => tokenizer.decode(ids)));
  }

  // ---- training ----------------------------------------------------------------------------------------------------

  /** A call that fails or is cancelled drops all that was accumulated: part of a batch would be another gradient. */
  async forwardBackward(batch: TrainingBatch, loss: Loss, cancelled: () => boolean): Promise<LossMetrics> {
    try {
      return await this.#forwardBackward(batch, loss, cancelled);
    } catch (error) {
      this.zeroGrad();
      throw error;
    }
  }

  async #forwardBackward(batch: TrainingBatch, loss: Loss, cancelled: () => boolean): Promise<LossMetrics> {
    const custom = loss.kind === 'module' ? await loadLoss(loss.path, this.#options.sources ?? null) : undefined;
    const parameters = this.#decoder.parameters.map(({ name }) => name);
    const totals = denominators(batch);
    const wantsReference = loss.kl !== undefined && loss.kl.coefficient !== 0;
    const sum = new LossMetricsSum(loss);
    for (const micro of microBatches(batch.sequences, this.#rows)) {
      throwIfCancelled(cancelled);
      const session = await this.#training(`training ${JSON.stringify(loss)}`, micro, (decoder) => trainingGraph(decoder, { loss, parameters, recompute: this.#options.recompute, ...(custom ? { custom } : {}) }));
      const reference = wantsReference ? await this.#referenceLogprobs(micro, batch.sequences.length) : null;
      const outputs = await session.run({ ...tensorsOf(this.#decoder, this.#weights), ...trainingFeeds(micro, { loss, totals, reference }) });
      this.#accumulate(outputs);
      sum.add(scoredOf(micro), { loss: Number(outputs['loss']!.data[0]), logprobs: outputs['logprobs']!.data as Float32Array, entropy: outputs['entropy']!.data as Float32Array, reference });
      release(outputs);
    }
    return { metrics: sum.metrics(), sequences: sum.sequences, tokens: sum.tokens };
  }

  /** Rows of one text each need no bias, and a graph without it is faster. */
  #training(key: string, rows: readonly Row[], build: (decoder: Model) => Model): Promise<Session> {
    const { shared, training } = this.#decoder;
    return isShared(rows) ? this.#session(`${key} of shared rows`, () => build(shared!)) : this.#session(key, () => build(training));
  }

  #accumulate(outputs: Readonly<Record<string, HostTensor>>): void {
    for (const [name, total] of this.#gradients) {
      const part = outputs[`grad.${name}`]!.data as Float32Array;
      if (!this.#hasGradients) total.set(part);
      else for (let index = 0; index < total.length; index++) total[index]! += part[index]!;
    }
    this.#hasGradients = true;
  }

  async #referenceLogprobs(micro: readonly Row[], count: number): Promise<(readonly number[])[]> {
    if (this.#reference === null) throw new Error('Internal error: a KL term without a reference; open the engine with reference: true');
    const rows = await this.#score(micro, this.#reference);
    const byIndex: (readonly number[])[] = Array.from({ length: count }, () => []);
    for (const { index, values } of rows) byIndex[index] = values;
    return byIndex;
  }

  async #score(micro: readonly Row[], weights: Record<string, HostTensor>): Promise<{ index: number; values: number[] }[]> {
    const session = await this.#training('scoring', micro, scoringGraph);
    const feeds = trainingFeeds(micro, { loss: { reduction: 'sum' }, totals: { sequences: 1, tokens: 1 }, reference: null });
    const outputs = await session.run({ ...weights, ...feeds });
    return atPositions(micro, outputs['logprobs']!.data as Float32Array);
  }

  /** Log-probabilities of action tokens under the current weights, one array per sequence. */
  async forward(batch: TrainingBatch, cancelled: () => boolean): Promise<{ logprobs: number[][]; metrics: Metrics }> {
    const logprobs = batch.sequences.map(({ tokenIds }) => Array.from({ length: tokenIds.length }, () => 0));
    const weights = tensorsOf(this.#decoder, this.#weights);
    for (const micro of microBatches(batch.sequences, this.#rows)) {
      throwIfCancelled(cancelled);
      for (const { index, values } of await this.#score(micro, weights)) logprobs[index] = values;
    }
    return { logprobs, metrics: {} };
  }

  zeroGrad(): void {
    for (const gradient of this.#gradients.values()) gradient.fill(0);
    this.#hasGradients = false;
  }

  update(params: AdamParams): UpdateMetrics | RefusedUpdate {
    const norm = globalNorm(this.#gradients);
    if (!Number.isFinite(norm)) {
      const parameter = nonFinite(this.#gradients) ?? 'the global norm';
      this.zeroGrad();
      return { refused: true, parameter, message: `the gradient of ${parameter} is not finite; the weights stay as they were` };
    }
    const gradientScale = params.maxGradNorm > 0 && norm > params.maxGradNorm ? params.maxGradNorm / norm : 1;
    this.#kept.clear();
    const { updateNorm } = applyAdam({ into: this.#weights, gradients: this.#gradients, state: this.#adam, params, gradientScale });
    this.zeroGrad();
    return { metrics: { grad_norm: norm, update_norm: updateNorm } };
  }

  // ---- state -------------------------------------------------------------------------------------------------------

  async writeState(directory: string): Promise<void> {
    const { parameters } = this.#decoder;
    const tensors = (prefix: string, of: ReadonlyMap<string, Float32Array>) => parameters.map(({ name, dims }) => [`${prefix}${name}`, { dtype: 'F32' as const, shape: dims, data: of.get(name)! }] as const);
    const files = [
      { name: 'weights.safetensors', tensors: new Map(tensors('', this.#weights)), metadata: { format: 'rlrun' } },
      { name: 'optimizer.safetensors', tensors: new Map([...tensors('first.', this.#adam.first), ...tensors('second.', this.#adam.second)]), metadata: { format: 'rlrun', step: String(this.#adam.step) } },
    ];
    await Promise.all(files.map(({ name, tensors, metadata }) => writeSafetensors(join(directory, name), tensors, { metadata })));
  }

  /** All or nothing: every tensor is checked before the first is written over. */
  async readState(directory: string): Promise<void> {
    const weights = await readSafetensors(join(directory, 'weights.safetensors'));
    const optimizer = await readSafetensors(join(directory, 'optimizer.safetensors')).catch((error: unknown) => {
      if (isMissing(error)) return null;
      throw error;
    });
    const take = (file: Safetensors, where: string, name: string, dims: readonly number[]): Float32Array => {
      const tensor = file.tensors.get(name);
      if (tensor?.dtype !== 'F32' || tensor.shape.join() !== dims.join()) {
        const found = tensor === undefined ? 'nothing' : `${tensor.dtype} [${tensor.shape.join(', ')}]`;
        throw new Error(`${join(directory, where)}: expected "${name}" as F32 [${dims.join(', ')}], found ${found}; this checkpoint belongs to another model or training method`);
      }
      return tensor.data;
    };
    const step = Number(optimizer?.metadata['step'] ?? 0);
    if (!Number.isSafeInteger(step) || step < 0) throw new Error(`${join(directory, 'optimizer.safetensors')}: its step is "${optimizer?.metadata['step']}", expected a whole number`);
    const loads = this.#decoder.parameters.map(({ name, dims }) => ({
      name, weights: take(weights, 'weights.safetensors', name, dims),
      first: optimizer && take(optimizer, 'optimizer.safetensors', `first.${name}`, dims),
      second: optimizer && take(optimizer, 'optimizer.safetensors', `second.${name}`, dims),
    }));
    const broken = nonFinite(loads.map(({ name, weights }) => [name, weights]));
    if (broken !== undefined) throw new OnnxError(`${join(directory, 'weights.safetensors')}: the weight "${broken}" holds NaN or an infinity; go on from another checkpoint`);
    this.#kept.clear();
    this.#adam = initAdam(this.#weights);
    for (const load of loads) {
      this.#weights.get(load.name)!.set(load.weights);
      if (load.first !== null) this.#adam.first.get(load.name)!.set(load.first);
      if (load.second !== null) this.#adam.second.get(load.name)!.set(load.second);
    }
    this.#adam.step = step;
    this.zeroGrad();
  }

  reset(): void {
    this.#kept.clear();
    for (const { name, initial } of this.#decoder.parameters) this.#weights.get(name)!.set(initial);
    this.#adam = initAdam(this.#weights);
    this.zeroGrad();
  }

  async close(): Promise<void> {
    const sessions = await Promise.allSettled(this.#sessions.values());
    this.#sessions.clear();
    await Promise.all(sessions.map((session) => (session.status === 'fulfilled' ? session.value.dispose() : undefined)));
  }
}

const tensorsOf = ({ parameters }: Decoder, weights: ReadonlyMap<string, Float32Array>): Record<string, HostTensor> =>
  Object.fromEntries(parameters.map(({ name, dims }) => [name, f32(weights.get(name)!, dims)]));

function throwIfCancelled(cancelled: () => boolean): void {
  if (cancelled()) throw new DOMException('training was cancelled', 'AbortError');
}

/** Opens what a pipeline's `model:` names: the fork in the store, the engine over its weights, its tokenizer. */
import { fileURLToPath } from 'node:url';
import type { ResolvedPipeline } from '../config/types.ts';
import type { ModelStore, StoreOptions, StoredModel } from '../models/index.ts';
import type { Engine, EngineOptions, Tokenizer } from '../policy/index.ts';
import type { LossModules } from './losses.ts';

export interface OpenedModel extends AsyncDisposable {
  model: StoredModel;
  engine: Engine;
  tokenizer: Tokenizer;
  /** Was the model forked just now? */
  created: boolean;
}

/** Rows that the sampler decodes side by side: more rows cost memory, fewer leave the cores waiting. */
const SAMPLER_ROWS = 256;

/** The bases that ship with rlrun. */
export const builtinModels = fileURLToPath(new URL('../../models', import.meta.url));

// The rooms below are loaded when they are needed: a command that only reads files should start at once.
export async function openProjectStore(options: Omit<StoreOptions, 'builtins' | 'judgeBase'>): Promise<ModelStore> {
  const { openStore } = await import('../models/index.ts');
  return openStore({ ...options, builtins: builtinModels, judgeBase });
}

/** A tokenizer that cannot be used is told before a model is made with it, and not when it is asked for something. */
async function judgeBase(directory: string): Promise<void> {
  const { loadTokenizer } = await import('../policy/index.ts');
  await loadTokenizer(directory).catch(async (error: unknown) => {
    throw await unusable(error, directory);
  });
}

/** Begins to load what an engine needs, beside whatever has to be known before it can be opened. */
export async function warmUpEngine(): Promise<void> {
  const { warmUp } = await import('../policy/index.ts');
  warmUp();
}

export interface OpenModelOptions {
  store: ModelStore;
  pipeline: ResolvedPipeline;
  losses: Pick<LossModules, 'sources'>;
  signal?: AbortSignal;
}

/** Forks the model unless it exists (then it goes on from its head), and opens its engine. Throws a `ModelError` for what a user can mend. */
export async function openModel({ store, pipeline, losses, signal }: OpenModelOptions): Promise<OpenedModel> {
  const { fork, name, train } = pipeline.model;
  const method = train.method === 'full' ? train : { ...train, targets: [...train.targets] };
  const { created } = await store.fork({ source: fork, slug: name, train: method, ifNotExists: true, ...(signal ? { signal } : {}) });
  const model = await store.model(name);
  const { engine, tokenizer } = await openWeights({ ...engineOptions(pipeline, model), sources: losses.sources }, { signal });
  const chatting = pipeline.stages.find(({ agent }) => agent.kind === 'chat');
  if (chatting && !tokenizer.applyChatTemplate) {
    await engine.close();
    const { ModelError } = await import('../models/index.ts');
    throw new ModelError('usage', `${fork} has no chat template, which agent: { kind: chat } needs`, { fix: 'Write agent: { kind: completion }, or fork a model that was made for chat.' });
  }
  return { model, engine, tokenizer, created, [Symbol.asyncDispose]: () => engine.close() };
}

/** The engine and the tokenizer of a model directory. Throws a `ModelError` when one of its files cannot be used. */
export async function openWeights(options: EngineOptions, { signal }: { signal?: AbortSignal | undefined } = {}): Promise<Pick<OpenedModel, 'engine' | 'tokenizer'>> {
  const { loadTokenizer, openEngine } = await import('../policy/index.ts');
  const [engine, tokenizer] = await Promise.allSettled([openEngine(options, { signal }), loadTokenizer(options.modelDirectory)]);
  if (engine.status === 'fulfilled' && tokenizer.status === 'fulfilled') return { engine: engine.value, tokenizer: tokenizer.value };
  // An engine without a tokenizer would keep the process alive.
  if (engine.status === 'fulfilled') await engine.value.close();
  throw await unusable([engine, tokenizer].flatMap((each) => (each.status === 'rejected' ? [each.reason as unknown] : []))[0], options.modelDirectory);
}

/** What is wrong with a model's files is told in plain errors, and a missing device in one that knows its kind; anything more special is a bug. */
async function unusable(error: unknown, directory: string): Promise<unknown> {
  const { ModelError } = await import('../models/index.ts');
  if ((error as { kind?: unknown } | null)?.kind === 'usage') return error;
  if (!(error instanceof Error) || error instanceof ModelError || error.name !== 'Error' || error.message.startsWith('Internal error')) return error;
  return new ModelError('invalid', error.message, { fix: `The model's files are in ${directory}.`, cause: error });
}

/** What the engine of a pipeline needs; two pipelines with equal options can share one. */
export function engineOptions(pipeline: ResolvedPipeline, model: StoredModel): EngineOptions {
  const training = pipeline.stages.filter(({ kind }) => kind === 'sft' || kind === 'grpo');
  const budgets = training.map(({ train }) => train.microBatchTokens);
  return {
    modelDirectory: model.record.baseDirectory,
    device: pipeline.model.device,
    threads: pipeline.model.threads,
    train: pipeline.model.train,
    microBatchTokens: Math.min(...(budgets.length > 0 ? budgets : [pipeline.stages[0]!.train.microBatchTokens])),
    recompute: training.some(({ train }) => train.recompute === 'layers') ? 'layers' : 'none',
    maxRows: SAMPLER_ROWS,
    reference: training.some(({ train }) => train.loss.kl !== undefined),
  };
}

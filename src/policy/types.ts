/**
 * The seam between the loop and whatever holds the weights. The local engine implements it over ONNX Runtime;
 * a remote engine can implement the same two interfaces. Nothing above may know which it is.
 */
import type { Metrics } from '../events.ts';
import type { Sources } from '../util/user-sources.ts';

/** The model's own tokenizer. Ids are the record; text is for people and graders. */
export interface Tokenizer {
  /** `addSpecialTokens` lets the tokenizer put its own marks around the text (a beginning-of-sequence id, for most). */
  encode(text: string, options: { addSpecialTokens: boolean }): number[];
  /** The text of some ids, special tokens left out (unless `special`) and spaces left as they are. No ids are no text. */
  decode(ids: readonly number[], options?: { special?: boolean }): string;
  /** One conversation through the model's chat template. Null: the model has no template. */
  applyChatTemplate: ((messages: readonly TemplateMessage[], options?: TemplateOptions) => Rendered) | null;
  /** Any of these ends an answer: `eos_token_id` of generation_config.json (else of config.json), the tokenizer's own, and the one that the chat template writes. */
  readonly endTokenIds: readonly number[];
  readonly answerEnds: AnswerEnds;
  /** What stands for text that the tokenizer cannot write down; null where it can write everything. */
  readonly unknownTokenId: number | null;
}

/** A message as templates read it. Calls and results of tools are in the shapes of OpenAI's chat, which templates were written for. */
export interface TemplateMessage {
  readonly role: string;
  readonly content?: string | null;
  readonly reasoning_content?: string;
  readonly tool_calls?: readonly unknown[];
  readonly tool_call_id?: string;
  readonly name?: string;
}

export interface TemplateOptions {
  /** How it ends: opened for the assistant's answer (the default), closed behind the last message, or open behind its text, which the answer goes on with. */
  end?: 'open' | 'closed' | 'continued';
  /** What the model may call, by JSON Schema. */
  tools?: readonly unknown[] | undefined;
  /** Arguments of the template: `enable_thinking`, … */
  args?: Readonly<Record<string, unknown>>;
}

/** A conversation as text, which is to be encoded without special tokens; or what the template has against it, in words that name the template. */
export type Rendered = { ok: true; text: string } | { ok: false; message: string };

/** What stands behind an answer that is complete, by how it was asked for; nothing where no token says so. */
export type AnswerEnds = { readonly [K in 'completion' | 'chat']: readonly number[] };

/** Coordinates of one random stream: (seed, step, task, sample). The position in the text is added by the sampler. */
export type RandomKey = readonly [seed: number, step: number, task: number, sample: number];

/** One completion to draw. Requests with the same prompt share its computation. */
export interface SampleRequest {
  id: string;
  promptTokenIds: readonly number[];
  maxTokens: number;
  /** 0 is greedy. */
  temperature: number;
  /** 1 keeps everything. */
  topP: number;
  /** 0 keeps everything. */
  topK: number;
  /** Sampling ends after any of these; the stop token belongs to the output. */
  stopTokenIds: readonly number[];
  /** Sampling ends once the decoded output contains any of these. */
  stopStrings: readonly string[];
  key: RandomKey;
  /**
   * The text may go on: its keys and values are kept, within `EngineOptions.keptBytes`, once it is finished. A later request whose prompt
   * begins with it then reads only what is new. Prompts are always complete, so what is kept changes no text, only its cost.
   */
  keep?: boolean;
  /**
   * Every token is the one that the text alone would get, whatever is decoded beside it and whatever was kept. What shares a run with a
   * text changes its logits in the last bits, so a draw that comes close to the edge between two tokens is decided again by a run of that
   * text alone. Log-probabilities may still differ in the last bits. It draws other tokens than the same request without it, of which equal
   * calls draw the same only as long as nothing else is asked of the sampler meanwhile and nothing is kept.
   */
  exact?: boolean;
  /** Tokens that the stream of `key` has drawn before, in earlier answers of the same rollout: this one goes on behind them. Default: 0. */
  drawn?: number;
}

/** A finished completion. Logprobs are those of the distribution really sampled (temperature, top-k, top-p applied). */
export interface Sample {
  id: string;
  outputTokenIds: number[];
  outputLogprobs: number[];
  stopReason: 'stop' | 'length' | 'cancelled';
}

export interface SampleOptions {
  signal?: AbortSignal;
  /** Called as tokens are drawn, for streaming to a person. */
  onToken?: (id: string, tokenId: number, logprob: number) => void;
  /** Called at the end with the milliseconds that drawing took, without the wait for what was asked of the engine before. */
  onDrawn?: (ms: number) => void;
}

export interface Sampler {
  /**
   * Draws every request; samples arrive as they finish, in any order. Ragged prompts are fine. Several calls may be under way: their requests
   * are decoded side by side, and those beyond the sampler's rows join in the order in which they were asked for.
   */
  sample(requests: readonly SampleRequest[], options?: SampleOptions): AsyncIterable<Sample>;
  /** A text that was kept will not go on: its memory is free for others. What it shares with other kept texts stays. */
  release(tokenIds: readonly number[]): void;
}

/** One merged trajectory. All arrays are as long as `tokenIds`; index 0 is never an action. */
export interface TrainingSequence {
  tokenIds: readonly number[];
  /** 1 where the token was drawn by the policy (the stop token too), 0 for prompt, environment and tool tokens. */
  actionMask: readonly number[];
  /** Natural log under the sampler; 0 where the mask is 0. */
  samplingLogprobs: readonly number[];
  /** Per token; usually the rollout's advantage wherever the mask is 1. For cross_entropy: the token's weight. */
  advantages: readonly number[];
  /** The sampling temperature: training logits are divided by it. */
  temperature: number;
}

/** Sequences plus the denominators of the *whole* optimiser batch, so that a split never changes the gradient. */
export interface TrainingBatch {
  sequences: readonly TrainingSequence[];
  /** Rollouts in the whole batch, counting those that were dropped on purpose (constant denominator). Default: sequences.length. */
  sequenceCount?: number;
  /** Action tokens of the whole batch. Default: the mask's sum. */
  tokenCount?: number;
}

export type Reduction = 'sum' | 'token_mean' | 'sequence_mean' | 'constant';

interface LossShape {
  reduction: Reduction;
  /** L_max of the `constant` reduction (Dr.GRPO): the token limit. */
  constantLength?: number;
  kl?: { coefficient: number; estimator: 'k1' | 'k2' | 'k3' };
  entropyBonus?: number;
}

/** A loss with every field explicit; presets (grpo, dapo, …) are expanded by `config/` before they get here. */
export type Loss = LossShape &
  (
    | { kind: 'cross_entropy' }
    | { kind: 'importance_sampling' }
    | {
        kind: 'ppo';
        ratio: 'token' | 'sequence';
        /** Absolute bounds of the ratio: 1 − ε_low and 1 + ε_high. */
        clipLowThreshold: number;
        clipHighThreshold: number;
        /** Dual clip: the loss is capped at c·|A| for A < 0. */
        dualClip?: number;
      }
    | { kind: 'cispo'; clipLowThreshold: number; clipHighThreshold: number }
    | { kind: 'dro'; beta: number }
    | { kind: 'module'; path: string }
  );

export interface AdamParams {
  learningRate: number;
  beta1: number;
  beta2: number;
  eps: number;
  weightDecay: number;
  /** Global-norm clipping; 0 is off. */
  maxGradNorm: number;
}

/** What a forward–backward pass says of the tokens that it learnt from, under the names of the field. */
export type LossMetric =
  | 'loss:sum'
  | 'policy_loss'
  | 'entropy'
  | 'kl'
  | `clip_ratio/${'low' | 'high' | 'region'}_mean`
  | `sampling/logp_difference/${'mean' | 'max'}`
  | `sampling/importance_ratio/${'min' | 'mean' | 'max'}`
  | `kl_sample_train/${'v1' | 'v2'}`;

/** The same with what an update says of itself. */
export type TrainerMetric = LossMetric | 'grad_norm' | 'update_norm';

export interface LossMetrics {
  metrics: { [M in LossMetric]?: number };
  sequences: number;
  tokens: number;
}

/** HUD's compound step: update, save, promote. The five keys are HUD's. */
export interface OptimStepResult {
  step: number;
  checkpointId: string;
  samplerPath: string;
  statePath: string;
  model: string;
  metrics: Metrics;
}

/** The gradient before it is clipped, and how far the weights went. */
export interface UpdateMetrics {
  metrics: { grad_norm?: number; update_norm?: number };
}

/** An update that must not happen: the gradient is not finite. Weights and moments are untouched. */
export interface RefusedUpdate {
  refused: true;
  /** The first parameter whose gradient is not finite. */
  parameter: string;
  message: string;
}

export interface Trainer {
  /** Accumulates gradients; no weight changes until `update`. A call that fails or is aborted drops all that was accumulated. */
  forwardBackward(batch: TrainingBatch, loss: Loss, signal?: AbortSignal): Promise<LossMetrics>;
  /** Drops accumulated gradients. */
  zeroGrad(): Promise<void>;
  /** Log-probabilities of the action tokens under the current weights, one array per sequence (0 where masked). */
  forward(batch: TrainingBatch, signal?: AbortSignal): Promise<{ logprobs: number[][]; metrics: Metrics }>;
  /** AdamW on the accumulated gradients, which are then dropped. */
  update(adam: AdamParams): Promise<UpdateMetrics | RefusedUpdate>;
}

export type TrainMethod =
  | { method: 'full' }
  | { method: 'lora'; rank: number; alpha: number; targets: readonly string[]; seed: number };

export type Device = 'cpu' | 'webgpu' | 'cuda';

export interface EngineOptions {
  /** A transformers.js directory: config.json, tokenizer files, onnx/model.onnx. */
  modelDirectory: string;
  device: Device;
  /** Threads of ONNX Runtime; 0 lets it choose. */
  threads: number;
  train: TrainMethod;
  /** Tokens (padded) that one forward+backward may hold. */
  microBatchTokens: number;
  /** `layers`: the backward computes layers a second time instead of keeping what they computed. Default: none. */
  recompute?: 'none' | 'layers';
  /** Rows that the sampler decodes side by side; those with top-k or top-p, and exact ones, are counted apart. */
  maxRows: number;
  /** Bytes of keys and values that `SampleRequest.keep` may take; beyond them those used longest ago are dropped. Default: 1 GiB. */
  keptBytes?: number;
  /** Keep the weights as they are when the engine opens, for the KL term. */
  reference: boolean;
  /** Of the modules that losses name, and of what those import: they are loaded from here, and from the disk only what is not here. */
  sources?: Sources;
}

export interface EngineInfo {
  parameters: number;
  trainableParameters: number;
  contextLength: number;
  vocabularySize: number;
  /** Trainable names and shapes, in the order of the state files. */
  parameterShapes: { name: string; shape: number[] }[];
}

/**
 * The weights in use. One engine owns one worker thread, in which ONNX Runtime runs. What changes the weights (`update`, `readState`, `reset`)
 * waits for everything that was asked for before it, and everything asked for after it waits in turn: what is sampled after an update,
 * answered or not, sees the new weights, and what was asked for before it the old ones.
 *
 * Between two such calls, work goes on side by side. Calls to `sample` share one batch; the trainer's calls are served one after another, and
 * take turns with the sampler: a micro-batch, a run of the sampler, a micro-batch. Neither can keep the other waiting. `writeState` waits for the
 * disk beside all of them.
 */
export interface Engine extends AsyncDisposable {
  readonly info: EngineInfo;
  readonly sampler: Sampler;
  readonly trainer: Trainer;
  /** Writes `weights.safetensors` and `optimizer.safetensors` (moments, step) into an existing directory; neither syncs nor renames. */
  writeState(directory: string): Promise<void>;
  /** Reads what `writeState` wrote; sampling and training go on from there. Without `optimizer.safetensors` the moments start at zero. */
  readState(directory: string): Promise<void>;
  /** Back to the weights of the model directory (and, for LoRA, the initial adapters). */
  reset(): Promise<void>;
  close(): Promise<void>;
}

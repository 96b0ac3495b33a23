/**
 * What a pipeline file means once everything is resolved: extends merged, presets expanded, defaults filled in.
 * Deeply readonly; nothing behind these types validates again.
 */
import type { Device, Loss, TrainMethod } from '../policy/types.ts';

export interface ModelSettings {
  /** `builtin:…`, `hub:org/name[@revision]`, `./dir`, `slug` or `slug@checkpoint`. Paths are absolute by now. */
  readonly fork: string;
  /** The slug. */
  readonly name: string;
  readonly device: Device;
  /** 0: ONNX Runtime chooses. */
  readonly threads: number;
  readonly train: TrainMethod;
}

export interface TasksetSettings {
  /** `builtin:arith`, or an absolute path to .json, .jsonl, .yaml or .ts. */
  readonly source: string;
  readonly args: Readonly<Record<string, unknown>>;
  readonly split: { readonly train: number; readonly eval: number };
  /** The same seed makes the same tasks in the same order, on the same sides. */
  readonly seed: number;
}

export interface AgentSettings {
  /** `completion`: the prompt is the text. `chat`: the tokenizer's chat template is applied. */
  readonly kind: 'completion' | 'chat';
  readonly system: string | null;
  /** Arguments of the chat template: `enable_thinking`, … */
  readonly templateArgs: Readonly<Record<string, unknown>>;
  readonly maxTokens: number;
  readonly temperature: number;
  readonly topP: number;
  readonly topK: number;
  readonly stop: readonly string[];
  /** Answers of one rollout: above 1 the agent takes turns with tools and an environment. */
  readonly maxSteps: number;
  readonly toolFormat: 'auto' | 'qwen3_coder' | 'deepseek' | 'mistral' | 'pythonic' | 'hermes' | 'llama3_json';
  /** Of one tool result, that the model is shown. */
  readonly maxToolCharacters: number;
}

/** Where tools come from. `include` null: all of them. */
export type ToolSettings = { readonly include: readonly string[] | null; readonly exclude: readonly string[]; readonly timeoutMs: number } & (
  | { readonly kind: 'module'; readonly path: string }
  | { readonly kind: 'mcp'; readonly command: readonly string[]; readonly cwd: string }
  | { readonly kind: 'mcp'; readonly url: string; readonly headers: Readonly<Record<string, string>> }
);

/** One entry of the `reward:` list. `all` and `any` nest. */
export type RewardSettings = { readonly name: string; readonly weight: number } & (
  | { readonly kind: 'exact_match' }
  | { readonly kind: 'contains'; readonly value: string | null }
  | { readonly kind: 'contains_any' | 'contains_all'; readonly values: readonly string[] | null }
  | { readonly kind: 'regex'; readonly pattern: string; readonly flags: string; readonly full: boolean }
  | { readonly kind: 'numeric_match'; readonly tolerance: number; readonly relativeTolerance: number }
  | { readonly kind: 'f1' }
  | { readonly kind: 'similarity' }
  | { readonly kind: 'length'; readonly min: number; readonly max: number; readonly unit: 'tokens' | 'characters' }
  | { readonly kind: 'json_schema'; readonly schema: Readonly<Record<string, unknown>> | boolean }
  | { readonly kind: 'command'; readonly command: readonly string[]; readonly timeoutMs: number; readonly cwd: string; readonly score: 'stdout' | 'exit_code' }
  | { readonly kind: 'module'; readonly path: string; readonly args: Readonly<Record<string, unknown>> }
  | { readonly kind: 'task' }
  | { readonly kind: 'any' | 'all'; readonly rewards: readonly RewardSettings[] }
);

export interface RuntimeSettings {
  readonly kind: 'local' | 'subprocess';
  /** subprocess only: the program that speaks JSON lines. */
  readonly command: readonly string[];
  readonly cwd: string;
  /** Secrets of rlrun's own that user code gets as well, by name. */
  readonly env: readonly string[];
  readonly concurrency: number;
  /** setup ≤ rollout, score ≤ rollout: three ordered limits. */
  readonly setupTimeoutMs: number;
  readonly scoreTimeoutMs: number;
  readonly rolloutTimeoutMs: number;
  readonly memoryMb: number;
}

export interface TrainSettings {
  readonly learningRate: number;
  readonly schedule: { readonly kind: 'constant' | 'linear' | 'cosine'; readonly warmup: number; readonly final: number };
  readonly beta1: number;
  readonly beta2: number;
  readonly eps: number;
  readonly weightDecay: number;
  readonly maxGradNorm: number;
  readonly advantage: { readonly normalize: 'none' | 'std' | 'leave_one_out' | 'batch_std'; readonly ddof: 0 | 1; readonly delta: number };
  /** Multiplies rewards before advantages, as HUD's `reward_scale`. */
  readonly rewardScale: number;
  readonly loss: Loss;
  /** The name the user wrote (`grpo`, `importance_sampling`, …); `loss` is its expansion. */
  readonly lossName: string;
  /** Optimizer updates per batch of rollouts. */
  readonly updates: number;
  readonly microBatchTokens: number;
  /** Layers that the backward computes a second time: less memory, more time. */
  readonly recompute: 'none' | 'layers';
}

export interface EvalSettings {
  /** 0: only before the first and after the last step. */
  readonly every: number;
  readonly tasks: number;
  /** Sampled attempts per task for pass@1 and pass@k; 0: greedy only. */
  readonly samples: number;
  readonly baseline: boolean;
}

export interface PromoteSettings {
  readonly when: 'always' | 'better';
  readonly metric: string;
  readonly confidence: number;
}

export interface GuardSettings {
  /** Roll back when the policy collapses (entropy, truncation, NaN, held-out score). */
  readonly rollback: boolean;
  /** Entropy below this share of its first value is a collapse. */
  readonly entropyFloor: number;
  readonly truncatedCeiling: number;
  /** End early after this many evaluations without improvement; 0 is off. */
  readonly patience: number;
  /** End once the held-out score reaches this; null is off. */
  readonly target: number | null;
}

/** A block of steps with every setting it runs under. */
export interface StageSettings {
  readonly name: string;
  readonly kind: 'sft' | 'grpo' | 'eval' | 'export';
  readonly steps: number;
  readonly group: number;
  readonly batch: number;
  readonly taskset: TasksetSettings;
  readonly agent: AgentSettings;
  readonly tools: readonly ToolSettings[];
  readonly reward: readonly RewardSettings[];
  readonly runtime: RuntimeSettings;
  readonly train: TrainSettings;
  readonly eval: EvalSettings;
  readonly promote: PromoteSettings;
  readonly guard: GuardSettings;
  /** export only. */
  readonly export: { readonly directory: string; readonly format: 'transformers.js' | 'safetensors' | 'peft'; readonly dtype: 'fp32' | 'fp16' | 'q8' | 'q4' } | null;
}

export interface ResolvedPipeline {
  readonly name: string;
  readonly seed: number;
  /** The file the user named, absolute; relative paths inside belong to the file that wrote them and are absolute by now. */
  readonly file: string;
  readonly model: ModelSettings;
  readonly stages: readonly StageSettings[];
  readonly watch: { readonly onReward: 'continue' | 'rollback' };
}

/** @file The resolved document in the words of the program: camelCase, milliseconds, one `Loss` per stage. */
import type { Loss } from '../policy/types.ts';
import { parseDuration } from './duration.ts';
import type { Agent, Eval, Guard, Loss as LossFields, Model, Promote, Reward, Runtime, StageExport, Taskset, Tools, Train, Watch } from './pipeline-file.generated.ts';
import type { ResolvedDocument } from './resolve.ts';
import { child, nodeAt, toPlain, type MapNode } from './tree.ts';
import type { AgentSettings, ResolvedPipeline, RewardSettings, RuntimeSettings, StageSettings, ToolSettings, TrainSettings } from './types.ts';

/** A section after defaults: every key has a value. */
type Filled<T> = T extends readonly (infer Item)[] ? readonly Filled<Item>[] : T extends object ? { readonly [K in keyof T]-?: Filled<T[K]> } : T;

export function toPipeline({ source, root, stages }: ResolvedDocument): ResolvedPipeline {
  const { name, seed, model, watch } = toPlain(root) as { name: string; seed: number; model: Filled<Model>; watch: Filled<Watch> };
  return {
    name,
    seed,
    file: source.path,
    model: { fork: model.fork, name: model.name, device: model.device, threads: model.threads, train: model.train },
    stages: stages.map(toStage),
    watch: { onReward: watch.on_reward },
  };
}

interface StageFields {
  kind: StageSettings['kind'];
  name: string;
  steps: number;
  group: number;
  batch: number;
  taskset: Filled<Taskset>;
  agent: Filled<Agent>;
  tools: readonly Tools[];
  reward: readonly Filled<Reward>[];
  runtime: Filled<Runtime>;
  train: Omit<Filled<Train>, 'loss'> & { loss: LossFields };
  eval: Filled<Eval>;
  promote: Filled<Promote>;
  guard: Filled<Guard>;
}

function toStage(node: MapNode): StageSettings {
  const fields = toPlain(node) as StageFields & Filled<StageExport>;
  const { kind, name, steps, group, batch, taskset, guard, promote } = fields;
  return {
    name, kind, steps, group, batch,
    taskset: { source: taskset.source, args: taskset.args ?? {}, split: taskset.split, seed: taskset.seed },
    agent: toAgent(fields.agent),
    tools: fields.tools.map(toTools),
    reward: fields.reward.map(toReward),
    runtime: toRuntime(fields.runtime),
    train: toTrain(fields.train, lossName(node)),
    eval: fields.eval,
    promote,
    guard: { rollback: guard.rollback, entropyFloor: guard.entropy_floor, truncatedCeiling: guard.truncated_ceiling, patience: guard.patience, target: guard.target },
    export: kind === 'export' ? { directory: fields.directory, format: fields.format, dtype: fields.dtype } : null,
  };
}

function toAgent(agent: Filled<Agent>): AgentSettings {
  const { kind, system, temperature, stop } = agent;
  return {
    kind, system, templateArgs: agent.template_args ?? {}, maxTokens: agent.max_tokens, temperature, topP: agent.top_p, topK: agent.top_k, stop,
    maxSteps: agent.max_steps, toolFormat: agent.tool_format, maxToolCharacters: agent.max_tool_characters,
  };
}

function toTools(tools: Tools): ToolSettings {
  const shared = { include: tools.include ?? null, exclude: tools.exclude ?? [], timeoutMs: parseDuration(tools.timeout ?? '30s') };
  if (tools.kind === 'module') return { kind: 'module', path: tools.path, ...shared };
  if (tools.url !== undefined) return { kind: 'mcp', url: tools.url, headers: tools.headers ?? {}, ...shared };
  return { kind: 'mcp', command: tools.command ?? [], cwd: tools.cwd ?? '.', ...shared };
}

function toRuntime(runtime: Filled<Runtime>): RuntimeSettings {
  const { kind, command, cwd, env, concurrency } = runtime;
  return {
    kind, command, cwd, env, concurrency,
    setupTimeoutMs: parseDuration(runtime.setup_timeout),
    scoreTimeoutMs: parseDuration(runtime.score_timeout),
    rolloutTimeoutMs: parseDuration(runtime.timeout),
    memoryMb: runtime.memory_mb,
  };
}

function toTrain(train: StageFields['train'], name: string): TrainSettings {
  return {
    learningRate: train.learning_rate,
    schedule: train.schedule,
    beta1: train.beta1,
    beta2: train.beta2,
    eps: train.eps,
    weightDecay: train.weight_decay,
    maxGradNorm: train.max_grad_norm,
    advantage: train.advantage,
    rewardScale: train.reward_scale,
    loss: toLoss(train.loss),
    lossName: name,
    updates: train.updates,
    microBatchTokens: train.micro_batch_tokens,
    recompute: train.recompute,
  };
}

/** The preset that was named, else the kind of the loss. */
function lossName(stage: MapNode): string {
  const loss = nodeAt(stage, ['train', 'loss']);
  if (loss?.origin.kind === 'preset') return loss.origin.name;
  const kind = child(loss, 'kind');
  return kind?.type === 'scalar' ? String(kind.value) : '';
}

function toLoss(fields: LossFields): Loss {
  const kl = fields.kl;
  const shared = {
    reduction: fields.reduction ?? 'sum',
    ...(fields.reduction === 'constant' && fields.constant_length !== undefined && { constantLength: fields.constant_length }),
    // A coefficient of 0 means no reference model at all.
    ...(kl !== undefined && kl.coefficient > 0 && { kl: { coefficient: kl.coefficient, estimator: kl.estimator ?? 'k3' } }),
    ...(fields.entropy_bonus !== undefined && fields.entropy_bonus !== 0 && { entropyBonus: fields.entropy_bonus }),
  };
  switch (fields.kind) {
    case 'cross_entropy':
    case 'importance_sampling':
      return { kind: fields.kind, ...shared };
    case 'ppo': {
      const { ratio, clip_low_threshold, clip_high_threshold, dual_clip } = fields as Filled<typeof fields>;
      const dualClip = dual_clip as number | undefined;
      return { kind: 'ppo', ratio, clipLowThreshold: clip_low_threshold, clipHighThreshold: clip_high_threshold, ...(dualClip !== undefined && { dualClip }), ...shared };
    }
    case 'cispo': {
      const { clip_low_threshold, clip_high_threshold } = fields as Filled<typeof fields>;
      return { kind: 'cispo', clipLowThreshold: clip_low_threshold, clipHighThreshold: clip_high_threshold, ...shared };
    }
    case 'dro':
      return { kind: 'dro', beta: (fields as Filled<typeof fields>).beta, ...shared };
    case 'module':
      return { kind: 'module', path: fields.path, ...shared };
  }
}

function toReward(reward: Filled<Reward>): RewardSettings {
  const { name, weight } = reward;
  switch (reward.kind) {
    case 'numeric_match':
      return { name, weight, kind: reward.kind, tolerance: reward.tolerance, relativeTolerance: reward.relative_tolerance };
    case 'command':
      return { name, weight, kind: reward.kind, command: reward.command, timeoutMs: parseDuration(reward.timeout), cwd: reward.cwd, score: reward.score };
    case 'any':
    case 'all':
      return { name, weight, kind: reward.kind, rewards: reward.rewards.map(toReward) };
    default:
      return reward;
  }
}

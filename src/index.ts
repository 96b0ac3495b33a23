/**
 * rlrun as a library: read a pipeline, run it, look at what it left. The command line is one user of these; whoever embeds rlrun is another.
 *
 * ```ts
 * const loaded = await loadPipeline({ file: 'pipelines/arith.yaml' });
 * ```
 */
export * from './config/index.ts';
export type * from './events.ts';
export { type Agent, createAgent } from './agents/index.ts';
export { ModelError, type ModelStore, type StoredModel, checkpointTree, exportCheckpoint, openStore } from './models/index.ts';
export * from './pipeline/index.ts';
export { loadTokenizer, openEngine } from './policy/index.ts';
export type * from './policy/types.ts';
// What people write goes by the plain names; what the loop makes of it has its own.
export type { Loss as LossSettings } from './policy/types.ts';
export type { Judgement, Loss, Reward, RewardInfo, TaskRow, Taskset, Template } from './your-code.ts';
export { type RewardProof, type Score, type Scorer, type ScoreRequest, createScorer, proveReward } from './rewards/index.ts';
export { type ChatMessage, type Task, type Taskset as LoadedTaskset, generators, loadTaskset } from './tasks/index.ts';

export { proveReward, type ProofFault, type ProveOptions, type RewardProof } from './prove.ts';
export { createScorer, type ScorerOptions } from './scorer.ts';
export type { Score, Scorer, ScoreRequest } from './types.ts';

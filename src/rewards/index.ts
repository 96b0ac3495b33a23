export { createScorer, type ScorerOptions } from './scorer.ts';
export type { Score, Scorer, ScoreRequest } from './types.ts';

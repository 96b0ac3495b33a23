export type * from './types.ts';
export { openEngine, warmUp } from './engine.ts';
export { readLimits } from './model-limits.ts';
export { loadTokenizer } from './tokenizer/load-tokenizer.ts';
export { tryLoss } from './losses/try-loss.ts';
export { lossTerms, type LossContext, type LossFunction, type LossTensors } from './losses/terms.ts';

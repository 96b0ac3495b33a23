/** @file Passes: functions from graph to graph. Start with `canonicalize`; the others expect its forms. */
export { biasAttention } from './bias-attention.ts';
export { canonicalize } from './canonicalize.ts';
export { decompose, type Decomposable } from './decompose/index.ts';
export { distributeMatMul } from './distribute-matmul.ts';
export { exposeCache } from './expose-cache.ts';
export { foldIf } from './fold-if.ts';
export { foldShapes } from './fold-shapes.ts';
export { forCpu } from './for-cpu/index.ts';
export { forWebGpu } from './for-webgpu.ts';
export { gatherColumns } from './gather-columns.ts';
export { groupHeads } from './group-heads.ts';
export { bakeInputs, liftInitializers } from './lift.ts';
export { insertLora, loraA, loraB, mergeLora, type LoraOptions } from './lora.ts';
export { mergeConstants } from './merge-constants.ts';
export { parameterNames } from './parameter-names.ts';
export { removeDeadNodes, rewriteNodes, type Pass, type Replacement } from './rewrite.ts';
export { selectLogits } from './select-logits.ts';
export { stripCache } from './strip-cache.ts';

/**
 * @file `rlrun/onnx`: read a model's graph, rewrite it, derive its gradient graph, run it in ONNX Runtime.
 *
 * Knows nothing of reinforcement learning; stands as a library of its own.
 */
export * from './ir.ts';
export { readModel } from './read-model.ts';
export { writeModel, writeModelExternal, writeModelPlaced, type ExternalBuffer, type Piece, type Placement } from './write-model.ts';
export { pageAfter, saveModel, weightsLayout, type WeightsLayout } from './save-model.ts';
export { byteLength, elementCount, float32Tensor, floatValues, numberValues, storedBytes, tensorBytes, tensorFrom } from './tensor.ts';
export { Builder, OPSET, dimsOf, rankOf, type Operand, type Value } from './builder.ts';
export { inferTypes, type Types } from './shapes/infer.ts';
export { differentiate, type DifferentiateOptions } from './autodiff/differentiate.ts';
export { DECODER_LAYERS } from './autodiff/recompute.ts';
export { gradientRules, type Differentiable } from './autodiff/rules/index.ts';
export { createSession, f32, i32, i64, loadRuntime, release, type Device, type HostTensor, type Session, type SessionOptions, type TensorArray } from './session.ts';
export * from './passes/index.ts';

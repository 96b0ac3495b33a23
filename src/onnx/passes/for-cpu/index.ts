/** @file Forms that ONNX Runtime's CPU provider computes faster, or right. `createSession` applies it for that device. */
import { OPSET } from '../../builder.ts';
import type { Model } from '../../ir.ts';
import { inferTypes } from '../../shapes/infer.ts';
import { liftVectors } from '../lift-vectors.ts';
import { accumulateProducts } from './accumulate-products.ts';
import { rotations } from './rotations.ts';
import { sharedNorms } from './shared-norms.ts';
import { transposedProducts } from './transposed-products.ts';

/** The same results from fewer passes over memory. */
export function forCpu(model: Model): Model {
  const products = transposedProducts(sharedNorms(liftVectors(model, inferTypes(model))));
  return (model.opsets.get('') ?? 0) >= OPSET ? accumulateProducts(rotations(products)) : products;
}

/** @file A checkpoint's weights back in the graph that they were lifted from. */
import { join } from 'node:path';
import { canonicalize, decompose, float32Tensor, mergeLora, readModel, type Model, type Tensor } from '../../onnx/index.ts';
import { transposedMetadataKey } from '../architectures/index.ts';
import { onnxModelPath } from '../base.ts';
import { weightsFile } from '../checkpoint-files.ts';
import { ModelError } from '../errors.ts';
import { floatsOf, readSafetensors } from '../safetensors.ts';
import type { ModelRecord } from '../types.ts';

/** The trainable tensors of a checkpoint, by the names under which the engine feeds them. */
export async function readWeights(stateDirectory: string): Promise<Map<string, Tensor>> {
  const { tensors } = await readSafetensors(join(stateDirectory, weightsFile));
  return new Map([...tensors].map(([name, stored]) => [name, float32Tensor(stored.shape, floatsOf(stored, name))]));
}

/** The base's graph with the weights of a checkpoint, adapters merged; with null, as the base is. */
export async function bakeCheckpoint(record: ModelRecord, stateDirectory: string | null): Promise<Model> {
  const base = readModel(join(record.baseDirectory, onnxModelPath));
  if (stateDirectory === null) return base;
  const weights = await readWeights(stateDirectory);
  if (record.train.method === 'lora') return withTransposed(mergeLora(canonicalize(base), weights, { alpha: record.train.alpha }), base);
  // The graph as it was exported is the faster one; where the engine knows a weight by another name, it is the engine's own graph.
  const hasAll = [...weights.keys()].every((name) => base.initializers.has(name));
  return withWeights(hasAll ? base : decompose(canonicalize(base)), weights, stateDirectory);
}

/** A layer that shared its matrix has one of its own now, [in, out]: a head that was the embedding. */
function withTransposed(merged: Model, base: Model): Model {
  const listed = base.metadata.get(transposedMetadataKey);
  if (listed === undefined) return merged;
  const added = [...merged.initializers.keys()].filter((name) => name.endsWith('.weight') && !base.initializers.has(name));
  return { ...merged, metadata: new Map([...merged.metadata, [transposedMetadataKey, JSON.stringify([...(JSON.parse(listed) as string[]), ...added])]]) };
}

function withWeights(model: Model, weights: ReadonlyMap<string, Tensor>, where: string): Model {
  for (const [name, { dims }] of weights) {
    const expected = model.initializers.get(name)?.dims;
    if (expected?.join() !== dims.join()) {
      throw new ModelError('invalid', `${where}: weight "${name}" is [${dims.join(', ')}], the base has ${expected === undefined ? 'none of that name' : `[${expected.join(', ')}]`}`, {
        fix: 'The base was changed after the checkpoint was made: put the old one back.',
      });
    }
  }
  return { ...model, initializers: new Map([...model.initializers, ...weights]) };
}

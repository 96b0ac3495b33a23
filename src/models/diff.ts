/** @file How far two checkpoints are apart. */
import { join } from 'node:path';
import { weightsFile } from './checkpoint-files.ts';
import { ModelError } from './errors.ts';
import { floatsOf, openSafetensors } from './safetensors.ts';
import type { Checkpoint } from './types.ts';

export interface TensorDiff {
  name: string;
  shape: readonly number[];
  /** ‖b − a‖ / ‖a‖, Euclidean; infinite where a is zero and b is not. */
  relativeChange: number;
  largestChange: number;
}

export interface WeightsDiff {
  from: Checkpoint;
  to: Checkpoint;
  /** Over all tensors together. */
  relativeChange: number;
  /** The most changed first. */
  tensors: TensorDiff[];
  /** Which of the things that made the checkpoints differ: a curve across them is not one curve. */
  changed: (keyof Checkpoint['hashes'])[];
}

interface Side {
  checkpoint: Checkpoint;
  directory: string;
}

export async function diffWeights(from: Side, to: Side): Promise<WeightsDiff> {
  await using a = await openSafetensors(join(from.directory, weightsFile));
  await using b = await openSafetensors(join(to.directory, weightsFile));
  const shapeIn = (file: typeof a, name: string): string => file.tensors.get(name)?.shape.join() ?? 'nothing';
  const differing = [...new Set([...a.tensors.keys(), ...b.tensors.keys()])].find((name) => shapeIn(a, name) !== shapeIn(b, name));
  if (differing !== undefined) {
    throw new ModelError('invalid', `${from.checkpoint.name} and ${to.checkpoint.name} train different parameters: "${differing}" is [${shapeIn(a, differing)}] and [${shapeIn(b, differing)}]`, {
      fix: 'Compare checkpoints of the same model.',
    });
  }
  const tensors: TensorDiff[] = [];
  let [totalChange, total] = [0, 0];
  for (const [name, { shape }] of a.tensors) {
    const { change, norm, largestChange } = distance(floatsOf(await a.read(name), name), floatsOf(await b.read(name), name));
    tensors.push({ name, shape, relativeChange: ratio(change, norm), largestChange });
    totalChange += change;
    total += norm;
  }
  const hashes = Object.keys(from.checkpoint.hashes) as (keyof Checkpoint['hashes'])[];
  return {
    from: from.checkpoint,
    to: to.checkpoint,
    relativeChange: ratio(totalChange, total),
    tensors: tensors.sort((x, y) => y.relativeChange - x.relativeChange || x.name.localeCompare(y.name)),
    changed: hashes.filter((key) => from.checkpoint.hashes[key] !== to.checkpoint.hashes[key]),
  };
}

/** Squared norms, summed in float64. */
function distance(a: Float32Array, b: Float32Array): { change: number; norm: number; largestChange: number } {
  let [change, norm, largestChange] = [0, 0, 0];
  for (let index = 0; index < a.length; index++) {
    const difference = b[index]! - a[index]!;
    change += difference * difference;
    norm += a[index]! * a[index]!;
    largestChange = Math.max(largestChange, Math.abs(difference));
  }
  return { change, norm, largestChange };
}

const ratio = (change: number, norm: number): number => (change === 0 ? 0 : Math.sqrt(change / norm));

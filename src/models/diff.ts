/** @file How far two states of a model are apart. */
import { join } from 'node:path';
import { floatValues, parameterNames } from '../onnx/index.ts';
import { weightsFile } from './checkpoint-files.ts';
import { ModelError } from './errors.ts';
import { bakeCheckpoint } from './export/bake.ts';
import { floatsOf, openSafetensors } from './safetensors.ts';
import type { Checkpoint, ModelRecord } from './types.ts';

export interface TensorDiff {
  name: string;
  shape: readonly number[];
  /** ‖b − a‖ / ‖a‖, Euclidean; infinite where a is zero and b is not. */
  relativeChange: number;
  largestChange: number;
}

export interface WeightsDiff {
  /** Names of the checkpoints, or `base`. */
  from: Pick<Checkpoint, 'name'>;
  to: Pick<Checkpoint, 'name'>;
  /** Over all tensors together. */
  relativeChange: number;
  /** The most changed first. */
  tensors: TensorDiff[];
  /** Which of the things that made the checkpoints differ: a curve across them is not one curve. */
  changed: (keyof Checkpoint['hashes'])[];
}

/** A checkpoint with its state files, or null for the base. */
export type DiffSide = { checkpoint: Checkpoint; directory: string } | null;

/** The tensors of one side, read one by one. */
interface Weights extends AsyncDisposable {
  shapes: ReadonlyMap<string, readonly number[]>;
  read(name: string): Promise<Float32Array>;
}

/**
 * Compares trainable tensors; against the base, which has none of its own, all weights of the graph with adapters merged.
 */
export async function diffWeights(record: ModelRecord, from: DiffSide, to: DiffSide): Promise<WeightsDiff> {
  const merged = from === null || to === null;
  await using a = await openWeights(record, from, { merged });
  await using b = await openWeights(record, to, { merged });
  const shapeIn = ({ shapes }: Weights, name: string): string => shapes.get(name)?.join() ?? 'nothing';
  const differing = [...new Set([...a.shapes.keys(), ...b.shapes.keys()])].find((name) => shapeIn(a, name) !== shapeIn(b, name));
  if (differing !== undefined) {
    throw new ModelError('invalid', `${nameOf(from)} and ${nameOf(to)} train different parameters: "${differing}" is [${shapeIn(a, differing)}] and [${shapeIn(b, differing)}]`, {
      fix: 'Compare checkpoints of the same model.',
    });
  }
  const tensors: TensorDiff[] = [];
  let [totalChange, total] = [0, 0];
  for (const [name, shape] of a.shapes) {
    const { change, norm, largestChange } = distance(await a.read(name), await b.read(name));
    tensors.push({ name, shape, relativeChange: ratio(change, norm), largestChange });
    totalChange += change;
    total += norm;
  }
  return {
    from: { name: nameOf(from) },
    to: { name: nameOf(to) },
    relativeChange: ratio(totalChange, total),
    tensors: tensors.sort((x, y) => y.relativeChange - x.relativeChange || x.name.localeCompare(y.name)),
    changed: from === null || to === null ? [] : changedHashes(from.checkpoint.hashes, to.checkpoint.hashes),
  };
}

const nameOf = (side: DiffSide): string => side?.checkpoint.name ?? 'base';

const changedHashes = (a: Checkpoint['hashes'], b: Checkpoint['hashes']): WeightsDiff['changed'] =>
  (Object.keys(a) as (keyof Checkpoint['hashes'])[]).filter((key) => a[key] !== b[key]);

async function openWeights(record: ModelRecord, side: DiffSide, { merged }: { merged: boolean }): Promise<Weights> {
  if (side !== null && !merged) {
    const file = await openSafetensors(join(side.directory, weightsFile));
    return {
      shapes: new Map([...file.tensors].map(([name, { shape }]) => [name, shape])),
      read: async (name) => floatsOf(await file.read(name), name),
      [Symbol.asyncDispose]: () => file[Symbol.asyncDispose](),
    };
  }
  const graph = await bakeCheckpoint(record, side?.directory ?? null);
  const tensors = new Map([...parameterNames(graph)].map(([initializer, name]) => [name, graph.initializers.get(initializer)!]));
  return {
    shapes: new Map([...tensors].map(([name, { dims }]) => [name, dims])),
    read: async (name) => floatValues(tensors.get(name)!),
    [Symbol.asyncDispose]: async () => {},
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

/** @file The fixtures of whole decoders (fixtures/make_decoders.py), as gradient graphs to run. */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Builder, canonicalize, decompose, differentiate, floatValues, foldShapes, liftInitializers, parameterNames, readModel, selectLogits, stripCache, type HostTensor, type Model } from '../../src/onnx/index.ts';
import { numbersOf, relativeError, tolerance } from './support.ts';

const folder = new URL('./fixtures/decoders/', import.meta.url);
const names = readdirSync(folder).filter((file) => file.endsWith('.onnx')).map((file) => file.replace('.onnx', '')).toSorted();

/** The tensors of a safetensors file, by name. */
function readTensors(file: string): Map<string, HostTensor> {
  const bytes = readFileSync(new URL(file, folder));
  const header = 8 + Number(bytes.readBigUInt64LE(0));
  const entries = JSON.parse(bytes.toString('utf8', 8, header)) as Record<string, { dtype: 'F32' | 'I64'; shape: number[]; data_offsets: [number, number] }>;
  return new Map(Object.entries(entries).filter(([name]) => name !== '__metadata__').map(([name, { dtype, shape, data_offsets: [start, end] }]) => {
    const { buffer } = new Uint8Array(bytes.subarray(header + start, header + end));
    return [name, dtype === 'F32' ? { dataType: 'float32', dims: shape, data: new Float32Array(buffer) } : { dataType: 'int64', dims: shape, data: new BigInt64Array(buffer) }];
  }));
}

/** loss = −Σ weights · log p(labels) over rows of logits, the weights being 1/n for each of n targets. */
function withLoss(model: Model): Model {
  const b = new Builder(model);
  const shape = b.value('logits').shape!.slice(0, -1);
  const labels = b.input('labels', 'int64', [...shape, 1]), weights = b.input('weights', 'float32', [...shape, 1]);
  b.output('logits', b.value('logits'));
  b.output('loss', b.neg(b.sum(b.mul(b.gatherElements(b.logSoftmax(b.value('logits')), labels, shape.length), weights))));
  return b.build();
}

interface Batch { readonly ids: HostTensor; readonly mask: HostTensor; readonly positions: HostTensor }

/** Where a padded batch has a next token to predict: flat positions, and which token it is. */
function targets({ ids, mask }: Batch): { position: number; label: number }[] {
  const length = ids.dims[1]!;
  const tokens = numbersOf(ids), live = numbersOf(mask);
  return tokens.flatMap((_, position) => ((position + 1) % length !== 0 && live[position] === 1 && live[position + 1] === 1 ? [{ position, label: tokens[position + 1]! }] : []));
}

const int64 = (dims: number[], values: readonly number[]): HostTensor => ({ dataType: 'int64', dims, data: BigInt64Array.from(values, BigInt) });

function scored(batch: Batch): Record<string, HostTensor> {
  const [rows, length] = batch.ids.dims as [number, number];
  const labels = Array<number>(rows * length).fill(0), weights = new Float32Array(rows * length), all = targets(batch);
  for (const { position, label } of all) { labels[position] = label; weights[position] = 1 / all.length; }
  return { labels: int64([rows, length, 1], labels), weights: { dataType: 'float32', dims: [rows, length, 1], data: weights } };
}

/** Only the rows that count, as training computes them. */
function selected(batch: Batch): Record<string, HostTensor> {
  const all = targets(batch);
  return {
    logit_positions: int64([all.length], all.map(({ position }) => position)),
    labels: int64([all.length, 1], all.map(({ label }) => label)),
    weights: { dataType: 'float32', dims: [all.length, 1], data: new Float32Array(all.length).fill(1 / all.length) },
  };
}

/** A decoder and one of its batches. */
export interface DecoderCase {
  readonly title: string;
  readonly mask: HostTensor;
  /** Logits, loss and gradients of PyTorch. */
  readonly expected: ReadonlyMap<string, HostTensor>;
  readonly wrt: readonly string[];
  /** Float initializers that are parameters, by the names that the graph gives them. */
  weights(): string[];
  /** With its weights inside, and a loss over all rows. */
  whole(options?: { recompute?: RegExp }): Runnable;
  /** As training runs it: weights are inputs, and only scored rows have logits. */
  training(options?: { recompute?: RegExp }): Runnable;
}
export interface Runnable { readonly model: Model; readonly feeds: Readonly<Record<string, HostTensor>> }

function decoderCase(name: string, prefix: string): DecoderCase {
  const expected = new Map([...readTensors(`${name}.safetensors`)].flatMap(([key, tensor]) => (key.startsWith(prefix) ? [[key.slice(prefix.length), tensor] as const] : [])));
  const wrt = [...expected.keys()].filter((key) => key.startsWith('grad/')).map((key) => key.slice('grad/'.length));
  const batch: Batch = { ids: expected.get('input_ids')!, mask: expected.get('attention_mask')!, positions: expected.get('position_ids')! };
  const feeds: Record<string, HostTensor> = { input_ids: batch.ids, attention_mask: batch.mask, position_ids: batch.positions };
  const plain = (): Model => foldShapes(stripCache(decompose(canonicalize(readModel(fileURLToPath(new URL(`${name}.onnx`, folder)))))));
  const gradients = (model: Model, options: { recompute?: RegExp } = {}): Model => differentiate(withLoss(model), { output: 'loss', wrt, ...options });
  return {
    title: `${name} ${prefix}`, mask: batch.mask, expected, wrt,
    weights: () => [...parameterNames(canonicalize(readModel(fileURLToPath(new URL(`${name}.onnx`, folder))))).keys()],
    whole: (options) => ({ model: gradients(plain(), options), feeds: { ...feeds, ...scored(batch) } }),
    training: (options) => {
      const { model, tensors } = liftInitializers(plain(), wrt);
      const weights = Object.fromEntries([...tensors].map(([key, tensor]): [string, HostTensor] => [key, { dataType: 'float32', dims: tensor.dims, data: floatValues(tensor) }]));
      return { model: gradients(selectLogits(model), options), feeds: { ...feeds, ...weights, ...selected(batch) } };
    },
  };
}

/** Every decoder; one with left-padded rows a second time with these. */
export const decoderCases: readonly DecoderCase[] = names.flatMap((name) => (readTensors(`${name}.safetensors`).has('left/loss') ? ['', 'left/'] : ['']).map((prefix) => decoderCase(name, prefix)));

/** What is not PyTorch's, with how far it is off: logits of real tokens where they are given, the loss, every gradient. */
export function decoderErrors(results: Readonly<Record<string, HostTensor>>, { mask, expected, wrt }: DecoderCase, allowed = tolerance): [what: string, error: number][] {
  const live = numbersOf(mask), logits = expected.get('logits')!, width = logits.dims[2]!;
  const seen = (values: number[]): number[] => values.filter((_, at) => live[Math.floor(at / width)] === 1);
  const compared: [string, number][] = [
    ...(results['logits']?.dims.length === 3 ? [['logits', relativeError(seen(numbersOf(results['logits'])), seen(numbersOf(logits)))] as [string, number]] : []),
    ['loss', relativeError(numbersOf(results['loss']!), numbersOf(expected.get('loss')!))],
    ...wrt.map((name): [string, number] => [name, relativeError(numbersOf(results[`grad.${name}`]!), numbersOf(expected.get(`grad/${name}`)!))]),
  ];
  return compared.filter(([, error]) => !(error <= allowed));
}

/** @file A decoder that generates, turned into one that reads whole sequences: no cache in, none out. */
import { Builder, type Value } from '../builder.ts';
import { MICROSOFT, OnnxError, type Dim, type Model, type Node, type ValueInfo } from '../ir.ts';
import { tensorFrom } from '../tensor.ts';
import { foldShapes } from './fold-shapes.ts';
import { withDims } from './graph.ts';
import { removeDeadNodes } from './rewrite.ts';

/** `past_key_values.0.key` (optimum, onnxruntime-genai), `past_key_0`, `past_0` … */
const PAST = /^past(_key_values|_key|_value|_key_value)?[._]\d/;
const PRESENT = /^present(_key_values|_key|_value|_key_value)?[._]\d/;
const LOGITS_TO_KEEP = new Set(['num_logits_to_keep', 'logits_to_keep']);

/** Where the attention operators take and give their cache. */
const ATTENTION: Readonly<Record<string, { readonly past: readonly number[]; readonly present: readonly number[] }>> = {
  [`${MICROSOFT}.GroupQueryAttention`]: { past: [3, 4], present: [1, 2] },
  [`${MICROSOFT}.MultiHeadAttention`]: { past: [6, 7], present: [1, 2] },
  '.Attention': { past: [4, 5], present: [1, 2] },
};

export const isPast = (name: string): boolean => PAST.test(name);
export const isPresent = (name: string): boolean => PRESENT.test(name);

/**
 * Removes the cache of a decoder: the inputs `past_key_values.*` (taken as empty) and the outputs `present.*`. The attention
 * mask then has the shape of `input_ids`. An input `num_logits_to_keep` is fixed to 0, which keeps all logits; an input
 * `use_cache_branch` to false. A model without a cache comes back as it is.
 */
export function stripCache(model: Model): Model {
  const past = model.inputs.filter(({ name }) => isPast(name));
  const fixed = model.inputs.filter(({ name }) => LOGITS_TO_KEEP.has(name) || name === 'use_cache_branch');
  const outputs = model.outputs.filter(({ name }) => !isPresent(name));
  if (past.length === 0 && fixed.length === 0 && outputs.length === model.outputs.length) return model;

  const names = new Set(past.map(({ name }) => name));
  const empty = withDims(withConstants({ ...model, outputs }, fixed), pastLengths(model.inputs, names));
  const { inputs, nodes } = empty;
  const stripped = foldShapes({ ...empty, inputs: inputs.map((input) => withMaskShape(input, inputs)), nodes: nodes.map((node) => withoutCache(node, names)) }, { without: names });
  const read = new Set(stripped.nodes.flatMap((node) => node.inputs));
  const needed = stripped.inputs.filter(({ name }) => names.has(name) && read.has(name));
  const without = { ...stripped, inputs: stripped.inputs.filter(({ name }) => !names.has(name)) };
  return needed.length === 0 ? without : withEmptyTensors(without, needed);
}

/** The length of the cache: the symbol before the last axis, unless other inputs have it too (as they have the batch size). */
function pastLengths(inputs: readonly ValueInfo[], past: ReadonlySet<string>): ReadonlyMap<string, Dim> {
  const others = new Set(inputs.filter(({ name }) => !past.has(name)).flatMap(({ shape }) => shape ?? []));
  const lengths = inputs.filter(({ name }) => past.has(name)).map(({ shape }) => shape?.at(-2));
  return new Map(lengths.flatMap((dim) => (typeof dim === 'string' && !others.has(dim) ? [[dim, 0] as const] : [])));
}

/** Exporters that name the mask's length `total_sequence_length` do not say that it is the sequence once the cache is empty. */
function withMaskShape(input: ValueInfo, inputs: readonly ValueInfo[]): ValueInfo {
  const ids = inputs.find(({ name }) => name === 'input_ids' || name === 'inputs_embeds');
  return input.name === 'attention_mask' && input.shape?.length === 2 && ids?.shape != null ? { ...input, shape: ids.shape.slice(0, 2) } : input;
}

function withConstants(model: Model, fixed: readonly ValueInfo[]): Model {
  const tensors = fixed.map(({ name, dataType, shape }) => [name, tensorFrom(dataType, shape === null ? [] : shape.map(() => 1), [0])] as const);
  return { ...model, inputs: model.inputs.filter((input) => !fixed.includes(input)), initializers: new Map([...model.initializers, ...tensors]) };
}

function withoutCache(node: Node, past: ReadonlySet<string>): Node {
  const places = ATTENTION[`${node.domain}.${node.op}`];
  if (places === undefined || !places.past.some((index) => past.has(node.inputs[index] ?? ''))) return node;
  return {
    ...node,
    inputs: withoutTail(node.inputs.map((name, index) => (places.past.includes(index) ? '' : name))),
    outputs: withoutTail(node.outputs.map((name, index) => (places.present.includes(index) ? '' : name))),
  };
}

function withoutTail(names: readonly string[]): string[] {
  const last = names.findLastIndex((name) => name !== '');
  return names.slice(0, last + 1);
}

/** What still reads a past gets one of length zero, as wide as the batch. */
function withEmptyTensors(model: Model, past: readonly ValueInfo[]): Model {
  const b = new Builder({ ...model, nodes: [] });
  b.reserve(model.nodes.flatMap(({ name, outputs }) => [name, ...outputs]));
  const sizeOf = (dim: Dim): Value => {
    const source = model.inputs.find(({ shape }) => shape?.includes(dim));
    const axis = source?.shape?.indexOf(dim) ?? 0;
    if (typeof dim === 'number') return b.int64([dim]);
    if (source === undefined) throw new OnnxError(`cannot make an empty cache: no input but the cache has the dimension "${dim}"`);
    return b.shape(b.value(source.name), { start: axis, end: axis + 1 });
  };
  for (const { name, dataType, shape } of past) {
    const dims = (shape ?? []).map((dim) => (typeof dim === 'number' ? dim : 1));
    if (!dims.includes(0)) throw new OnnxError(`cannot tell which axis of "${name}" is the length of the cache: its shape is [${(shape ?? []).join(', ')}]`);
    const none = b.initializer(`${name}.empty`, { dataType, dims, data: new Uint8Array() });
    b.op('Expand', [none, b.concat((shape ?? []).map(sizeOf), 0)], {}, { outputNames: [name] });
  }
  const { nodes, initializers } = b.build();
  return removeDeadNodes({ ...model, nodes: [...nodes, ...model.nodes], initializers });
}

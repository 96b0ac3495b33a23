/**
 * @file Recomputation: activations are not kept for the backward but computed a second time, when it comes to them.
 *
 * The nodes of a segment (a layer) are copied; the copies read what enters the segment, and rules read the copies. Memory then
 * holds what passes between segments, and the inside of one. Two things could undo that: ONNX Runtime merges equal nodes, and it
 * orders nodes as it likes. A barrier prevents both: to everything that enters the copies a zero is added which is made from the
 * gradients of all later segments, so the copies are not equal to the originals and cannot run before these gradients are done.
 */
import type { Builder, Value } from '../builder.ts';
import { OnnxError, isFloat, type DataType, type Model, type Node } from '../ir.ts';

/** The layers of a decoder, as exporters name them: `/model/layers.3/mlp/…`, `/transformer/h.3/…`. One segment each. */
export const DECODER_LAYERS = /(?<=^|[/.])(?:layers|layer|h|blocks|block)[./]\d+(?=[/.])/;

export interface Recomputation {
  /** The name under which the rule of `node` reads a value. `dy` is the gradient with which the backward comes to the node. */
  reader(node: Node, dy: Value): (name: string) => string;
  /** Tells of a finished gradient that no later rule reads: the next segment waits for it. */
  finished(gradient: Value): void;
}

/** Nothing is computed twice. */
export const keepAll: Recomputation = { reader: () => (name) => name, finished: () => {} };

/** Computes those nodes again whose names match `pattern`; nodes with the same matched text are one segment. */
export function recompute(b: Builder, model: Model, { pattern, wrt }: { pattern: RegExp; wrt: readonly string[] }): Recomputation {
  const segments = segmentsOf(model, pattern);
  const fed = dependents(model, model.inputs.map(({ name }) => name).filter((name) => !wrt.includes(name)));
  const segmentOf = new Map([...segments].flatMap(([key, nodes]) => nodes.map((node) => [node, key] as const)));
  const copies = new Map<string, ReadonlyMap<string, string>>();
  let waitFor: Value[] = [];
  return {
    reader(node, dy) {
      const key = segmentOf.get(node);
      if (key === undefined) return (name) => name;
      let copied = copies.get(key);
      if (copied === undefined) {
        copied = b.within('recompute', () => copySegment(b, segments.get(key)!, { fed, after: [dy, ...waitFor] }));
        copies.set(key, copied);
        waitFor = [];
      }
      const names = copied;
      return (name) => names.get(name) ?? name;
    },
    finished(gradient) { waitFor.push(gradient); },
  };
}

function segmentsOf(model: Model, pattern: RegExp): Map<string, Node[]> {
  // A pattern with the flags g or y would remember where it last matched.
  const plain = new RegExp(pattern.source, pattern.flags.replace(/[gy]/g, ''));
  const segments = new Map<string, Node[]>();
  for (const node of model.nodes) {
    const key = plain.exec(node.name)?.[0];
    if (key === undefined) continue;
    const nodes = segments.get(key);
    if (nodes === undefined) segments.set(key, [node]);
    else nodes.push(node);
  }
  if (segments.size === 0) throw new OnnxError(`recompute: no node's name matches ${pattern}; names are like ${model.nodes.filter(({ name }) => name !== '').slice(0, 3).map(({ name }) => `"${name}"`).join(', ') || '"" (this graph\'s nodes have none)'}`);
  return segments;
}

/** Everything that depends on one of these values. Weights and what is made of them alone need no second copy. */
function dependents(model: Model, names: readonly string[]): ReadonlySet<string> {
  const found = new Set(names);
  for (const node of model.nodes) if (node.inputs.some((name) => found.has(name))) for (const name of node.outputs) found.add(name);
  return found;
}

/** Original name → name of the copy, for all that a segment computes and for what enters it. */
function copySegment(b: Builder, nodes: readonly Node[], { fed, after }: { fed: ReadonlySet<string>; after: readonly Value[] }): Map<string, string> {
  const own = new Set(nodes.flatMap(({ outputs }) => outputs));
  const names = new Map<string, string>();
  const zeros = new Map<DataType, Value>();
  const zero = (dataType: DataType): Value => {
    let value = zeros.get(dataType);
    if (value === undefined) zeros.set(dataType, value = b.cast(zeros.get('float32') ?? zeroAfter(b, after), dataType));
    return value;
  };
  const enters = (name: string): boolean => fed.has(name) && !own.has(name) && b.has(name) && isFloat(b.value(name).dataType);
  for (const node of nodes) {
    if (!isWorthCopying(b, node) || !node.inputs.some((name) => names.has(name) || enters(name))) continue;
    const inputs = node.inputs.map((name): Value | null => {
      if (name === '') return null;
      if (!names.has(name) && enters(name)) names.set(name, b.within(name, () => b.add(b.value(name), zero(b.value(name).dataType))).name);
      return b.value(names.get(name) ?? name);
    });
    const values = b.within(node.name, () => b.ops(node.op, inputs, node.attributes, { domain: node.domain, outputs: node.outputs.length }));
    node.outputs.forEach((name, index) => { if (name !== '') names.set(name, values[index]!.name); });
  }
  return names;
}

/** Shapes and indices are small, and control flow names outer values that cannot be renamed: these are kept. */
const isWorthCopying = (b: Builder, node: Node): boolean =>
  !Object.values(node.attributes).some(({ kind }) => kind === 'graph')
  && node.inputs.every((name) => name === '' || b.has(name))
  && node.outputs.some((name) => b.has(name) && (isFloat(b.value(name).dataType) || b.value(name).dataType === 'bool'));

/** A scalar 0 that cannot be known before all of `values` are: whether a number is less than itself. True of NaN and infinity too. */
function zeroAfter(b: Builder, values: readonly Value[]): Value {
  return b.within('after', () => {
    const samples = values.map((value) => b.cast(b.slice(b.reshape(value, [-1]), { axis: 0, start: 0, end: 1 }), 'float32'));
    const sample = b.concat(samples, 0);
    return b.sum(b.cast(b.less(sample, sample), 'float32'));
  });
}

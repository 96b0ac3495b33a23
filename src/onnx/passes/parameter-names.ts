/** @file Stable names for weights, whatever the exporter did to them. */
import { isFloat, type Model, type Node } from '../ir.ts';
import { consumersOf } from './graph.ts';
import { linearsOf, modulePath, parameterName } from './linears.ts';

/** Constants of the architecture and of the Builder: tables of angles and the like, not weights. */
const TABLES = /^constant_|(^|[._/])(cos|sin)(_cached?|_cache)?$|inv_freq|rotary/i;

/**
 * The weights of a model by initializer, with the names that they have in PyTorch: `onnx::MatMul_734` →
 * `model.layers.0.self_attn.k_proj.weight`, `model.layers.0.attn.o_proj.MatMul.weight` → `model.layers.0.self_attn.o_proj.weight`.
 *
 * A matrix that is embedding and head is named as the embedding. Layout is as the graph stores it: products mostly have [in, out],
 * where PyTorch has [out, in]. Scalars, index lists and rotary tables are no weights.
 */
export function parameterNames(model: Model): Map<string, string> {
  const consumers = consumersOf(model);
  const heads = new Map(linearsOf(model).map((linear) => [linear.source, linear]));
  const names = new Map<string, string>(), taken = new Set<string>();
  for (const [initializer, { dataType, dims }] of model.initializers) {
    if (!isFloat(dataType) || dims.every((dim) => dim === 1) || TABLES.test(initializer) || /_scales?$/.test(initializer)) continue;
    const readers = consumers.get(initializer) ?? [];
    const linear = heads.get(initializer);
    const tied = linear?.isHead === true && readsRows(consumers, initializer, readers);
    const wanted = tied ? embeddingName(initializer, consumers, readers) : parameterName(initializer) ?? (linear === undefined ? null : `${linear.module}.weight`) ?? nameByReader(readers[0]);
    if (wanted === null || TABLES.test(wanted)) continue;
    const name = taken.has(wanted) ? `${wanted}#${initializer}` : wanted;
    taken.add(name);
    names.set(initializer, name);
  }
  return names;
}

/** Is it, or its transpose, a table that rows are gathered from? */
const readsRows = (consumers: ReadonlyMap<string, readonly Node[]>, name: string, readers: readonly Node[]): boolean =>
  readers.some(({ op, inputs, outputs }) => (op === 'Gather' && inputs[0] === name) || (op === 'Transpose' && (consumers.get(outputs[0]!) ?? []).some((node) => node.op === 'Gather' && node.inputs[0] === outputs[0])));

function embeddingName(initializer: string, consumers: ReadonlyMap<string, readonly Node[]>, readers: readonly Node[]): string {
  const gather = [...readers, ...readers.flatMap(({ outputs }) => consumers.get(outputs[0]!) ?? [])].find(({ op }) => op === 'Gather');
  const module = gather === undefined ? null : modulePath(gather);
  return module === null ? parameterName(initializer) ?? initializer : `${module}.weight`;
}

/** An anonymous vector belongs to the module whose node reads it: added it is a bias, multiplied a weight. */
function nameByReader(reader: Node | undefined): string | null {
  const kind = reader?.op === 'Add' ? 'bias' : reader?.op === 'Mul' || reader?.op === 'Gather' ? 'weight' : null;
  const module = kind === null ? null : modulePath(reader!);
  return module === null ? null : `${module}.${kind}`;
}

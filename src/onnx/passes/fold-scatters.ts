/**
 * @file What is scattered into zeros and then added to something, scattered into that at once.
 *
 * The gradient of a gather is zeros of the whole size with few rows in them; what else the gathered value is used for has a
 * gradient of that size already.
 */
import { MICROSOFT, stringAttribute, type Model, type Node } from '../ir.ts';
import { inferTypes } from '../shapes/infer.ts';
import { floatValues } from '../tensor.ts';
import { consumersOf, producersOf } from './graph.ts';
import { removeDeadNodes } from './rewrite.ts';

export function foldScatters(model: Model): Model {
  const producers = producersOf(model), consumers = consumersOf(model), outputs = new Set(model.outputs.map(({ name }) => name));
  const isZero = (name: string): boolean => {
    const node = producers.get(name), value = model.initializers.get(node?.op === 'Expand' && node.domain !== MICROSOFT ? node.inputs[0]! : '');
    return value !== undefined && value.dataType === 'float32' && floatValues(value).every((item) => item === 0);
  };
  const scatterInto = (name: string): Node | undefined => {
    const node = producers.get(name);
    const adds = node?.op === 'ScatterElements' && stringAttribute(node, 'reduction', 'none') === 'add' && isZero(node.inputs[0]!);
    return adds && consumers.get(name)?.length === 1 && !outputs.has(name) ? node : undefined;
  };
  let known: ReturnType<typeof inferTypes> | undefined;
  /** Only into what has the sum's own shape: an Add would repeat something smaller first. */
  const hasShapeOf = (value: string, sum: string): boolean => {
    known ??= inferTypes(model);
    const [own, wanted] = [known.get(value)?.shape, known.get(sum)?.shape];
    return own != null && wanted != null && own.length === wanted.length && own.every((dim, axis) => dim === wanted[axis]);
  };
  let found = false;
  const nodes = model.nodes.map((node): Node => {
    if (node.op !== 'Add' || node.domain !== '') return node;
    const at = node.inputs.findIndex((name) => scatterInto(name) !== undefined);
    if (at < 0 || !hasShapeOf(node.inputs[1 - at]!, node.outputs[0]!) || !hasShapeOf(node.inputs[at]!, node.outputs[0]!)) return node;
    found = true;
    const scatter = scatterInto(node.inputs[at]!)!;
    return { ...scatter, name: node.name, inputs: [node.inputs[1 - at]!, ...scatter.inputs.slice(1)], outputs: node.outputs };
  });
  return found ? removeDeadNodes({ ...model, nodes }) : model;
}

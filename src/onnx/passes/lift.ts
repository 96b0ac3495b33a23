/** @file Constants as inputs, and back: how weights become trainable without reloading the graph. */
import { OnnxError, describeType, type Model, type Tensor, type ValueInfo } from '../ir.ts';

/**
 * Turns initializers into graph inputs of the same name, after the inputs that are there. Everything computed from them stays
 * in the graph: a head tied to the embedding by Transpose follows it.
 *
 * @param select names, or a choice by name and tensor (`(name, tensor) => …`).
 * @returns the model, and the tensors that it no longer holds: feed them under their names.
 * @throws OnnxError when a name is no initializer.
 */
export function liftInitializers(model: Model, select: Iterable<string> | ((name: string, tensor: Tensor) => boolean)): { model: Model; tensors: Map<string, Tensor> } {
  const names = typeof select === 'function' ? [...model.initializers].filter(([name, tensor]) => select(name, tensor)).map(([name]) => name) : [...new Set(select)];
  const tensors = new Map(names.map((name) => {
    const tensor = model.initializers.get(name);
    if (tensor === undefined) throw new OnnxError(`cannot lift "${name}": it is no initializer of the graph`);
    return [name, tensor] as const;
  }));
  const inputs = [...tensors].map(([name, { dataType, dims }]): ValueInfo => ({ name, dataType, shape: dims }));
  return {
    model: { ...model, inputs: [...model.inputs, ...inputs], initializers: new Map([...model.initializers].filter(([name]) => !tensors.has(name))) },
    tensors,
  };
}

/**
 * Turns graph inputs into initializers: the way back, with the values that were trained meanwhile.
 *
 * @throws OnnxError when a name is no input, or its type or shape is another.
 */
export function bakeInputs(model: Model, tensors: ReadonlyMap<string, Tensor> | Readonly<Record<string, Tensor>>): Model {
  const values = tensors instanceof Map ? (tensors as ReadonlyMap<string, Tensor>) : new Map(Object.entries(tensors));
  const inputs = new Map(model.inputs.map((input) => [input.name, input]));
  for (const [name, tensor] of values) {
    const input = inputs.get(name);
    if (input === undefined) throw new OnnxError(`cannot bake "${name}": it is no input of the graph`);
    const fits = input.dataType === tensor.dataType && (input.shape === null || (input.shape.length === tensor.dims.length && input.shape.every((dim, axis) => typeof dim === 'string' || dim === tensor.dims[axis])));
    if (!fits) throw new OnnxError(`cannot bake "${name}": the graph wants ${describeType(input)}, the tensor is ${describeType({ dataType: tensor.dataType, shape: tensor.dims })}`);
  }
  return { ...model, inputs: model.inputs.filter(({ name }) => !values.has(name)), initializers: new Map([...model.initializers, ...values]) };
}

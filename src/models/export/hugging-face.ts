/** @file The weights of a graph as Hugging Face stores them. */
import { floatValues, parameterNames, tensorFrom, type Model, type Tensor } from '../../onnx/index.ts';
import { decoderParameters, parseDecoderConfig, transposedMetadataKey, type Parameter } from '../architectures/index.ts';
import { ModelError } from '../errors.ts';
import { transpose } from '../transpose.ts';
import type { StoredTensor } from '../safetensors.ts';

/** The parameters of the config's architecture, by their names in PyTorch, `[out, in]`. Throws when the graph does not hold one of them. */
export function huggingFaceTensors(model: Model, config: unknown, { half }: { half: boolean }): Map<string, StoredTensor> {
  const parameters = decoderParameters(parseDecoderConfig(config, 'config.json'));
  const initializers = new Map([...parameterNames(model)].map(([initializer, name]) => [name, initializer]));
  const transposed = transposedInitializers(model);
  return new Map(parameters.map((parameter) => {
    const initializer = initializers.get(parameter.name);
    const tensor = initializer === undefined ? undefined : model.initializers.get(initializer);
    if (initializer === undefined || tensor === undefined) throw incomplete(parameter.name, 'is not in the graph');
    return [parameter.name, storedTensor(asHuggingFace(parameter, tensor, transposed.has(initializer)), half)];
  }));
}

/** In our own graphs the metadata says so; in others, a matrix that a product reads directly lies as [in, out]. */
function transposedInitializers(model: Model): Set<string> {
  const listed = model.metadata.get(transposedMetadataKey);
  if (listed !== undefined) return new Set(JSON.parse(listed) as string[]);
  return new Set(model.nodes.filter(({ op }) => op === 'MatMul').map(({ inputs }) => inputs[1]!));
}

function asHuggingFace({ name, shape, transposed }: Parameter, tensor: Tensor, isTransposed: boolean): Tensor {
  const wanted = transposed ? shape.toReversed() : shape;
  const values = floatValues(tensor);
  const turned = isTransposed && tensor.dims.length === 2 ? transpose(values, tensor.dims as [number, number]) : values;
  const dims = isTransposed ? tensor.dims.toReversed() : tensor.dims;
  if (dims.join() !== wanted.join()) throw incomplete(name, `is [${dims.join(', ')}] in the graph, config.json says [${wanted.join(', ')}]`);
  return tensorFrom('float32', dims, turned);
}

function storedTensor({ dims, data, ...tensor }: Tensor, half: boolean): StoredTensor {
  const values = floatValues({ ...tensor, dims, data });
  if (!half) return { dtype: 'F32', shape: dims, data: values };
  const bytes = tensorFrom('float16', dims, values).data as Uint8Array;
  return { dtype: 'F16', shape: dims, data: new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 2) };
}

function incomplete(name: string, what: string): ModelError {
  return new ModelError('invalid', `the model cannot be written as Hugging Face weights: parameter "${name}" ${what}`, { fix: 'Export it as a transformers.js directory instead.' });
}

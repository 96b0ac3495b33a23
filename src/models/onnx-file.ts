/** @file Writing `model.onnx`, and `model.onnx_data` beside it when the weights do not fit well into one protobuf. */
import { open } from 'node:fs/promises';
import { basename } from 'node:path';
import { tensorBytes, writeModelPlaced, type Model, type Tensor } from '../onnx/index.ts';
import { writeAll } from './durable.ts';
import { fileError } from './errors.ts';

/** Protobuf ends at 2 GiB, and a file of this size is still comfortable to load whole. */
export const externalAbove = 512 * 2 ** 20;
/** Small constants stay in the graph, where every reader can fold them. */
const externalTensorBytes = 1024;
/** ONNX Runtime maps weights into memory where they begin on a page. */
const pageBytes = 4096;

const sizeOf = ({ data }: Tensor): number => (data instanceof Uint8Array ? data.byteLength : data.length);

/**
 * Writes the model to `path` (`….onnx`) and syncs it. `external`: weights go to `path` + `_data`; default: when they are large.
 * Weights that a `WeightsFile` has put there before stay as they are.
 */
export async function writeOnnxFile(path: string, model: Model, options: { external?: boolean } = {}): Promise<void> {
  const dataPath = weightsPath(path);
  const location = basename(dataPath);
  const tensors = [...model.initializers.values()];
  const written = tensors.some((tensor) => isInFile(tensor, dataPath));
  const external = !written && (options.external ?? tensors.reduce((sum, tensor) => sum + sizeOf(tensor), 0) > externalAbove);

  const chunks: (Uint8Array | Tensor)[] = [];
  let position = 0;
  const graph = writeModelPlaced(model, (_, tensor) => {
    const { data } = tensor;
    const length = sizeOf(tensor);
    if (!(data instanceof Uint8Array) && data.path === dataPath) return { location, offset: data.offset, length };
    if (!external || length < externalTensorBytes) return null;
    const offset = pageAfter(position);
    chunks.push(new Uint8Array(offset - position), tensor);
    position = offset + length;
    return { location, offset, length };
  });
  if (external) await writeChunks(dataPath, chunks);
  await writeChunks(path, [graph]);
}

const weightsPath = (modelPath: string): string => `${modelPath}_data`;
const pageAfter = (position: number): number => Math.ceil(position / pageBytes) * pageBytes;
const isInFile = ({ data }: Tensor, path: string): boolean => !(data instanceof Uint8Array) && data.path === path;

/** Takes weights one by one, for models that should never be in memory whole. */
export interface WeightsFile extends AsyncDisposable {
  append(tensor: Tensor): Promise<Tensor>;
}

/** Opens the weights file of the model that will be written to `modelPath`. Disposing syncs it. */
export async function openWeightsFile(modelPath: string): Promise<WeightsFile> {
  const path = weightsPath(modelPath);
  const file = await open(path, 'w').catch((error: unknown) => Promise.reject(fileError(error, path)));
  let position = 0;
  return {
    async append(tensor) {
      const bytes = tensorBytes(tensor);
      const offset = pageAfter(position);
      try {
        await writeAll(file, [new Uint8Array(offset - position), bytes]);
      } catch (error) {
        throw fileError(error, path);
      }
      position = offset + bytes.byteLength;
      return { ...tensor, data: { path, offset, length: bytes.byteLength } };
    },
    async [Symbol.asyncDispose]() {
      await file.sync();
      await file.close();
    },
  };
}

async function writeChunks(path: string, chunks: readonly (Uint8Array | Tensor)[]): Promise<void> {
  let file;
  try {
    file = await open(path, 'w');
    await writeAll(file, chunks.map((chunk) => (chunk instanceof Uint8Array ? chunk : tensorBytes(chunk))));
    await file.sync();
  } catch (error) {
    throw fileError(error, path);
  } finally {
    await file?.close();
  }
}

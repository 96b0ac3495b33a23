/** @file Writing `model.onnx`, and `model.onnx_data` beside it when the weights do not fit well into one protobuf. */
import { open } from 'node:fs/promises';
import { basename } from 'node:path';
import { pageAfter, storedBytes, tensorBytes, weightsLayout, writeModelPlaced, type Model, type Piece, type Tensor } from '../onnx/index.ts';
import { writeAll } from './durable.ts';
import { fileError } from './errors.ts';

/** Protobuf ends at 2 GiB, and a file of this size is still comfortable to load whole. */
export const externalAbove = 512 * 2 ** 20;

/**
 * Writes the model to `path` (`….onnx`); whoever gives its directory a name syncs it. `external`: weights go to `path` + `_data`; default: when they are large.
 * Weights that a `WeightsFile` has put there before stay as they are.
 */
export async function writeOnnxFile(path: string, model: Model, options: { external?: boolean } = {}): Promise<void> {
  const dataPath = weightsPath(path);
  const location = basename(dataPath);
  const tensors = [...model.initializers.values()];
  const written = tensors.some((tensor) => isInFile(tensor, dataPath));
  const external = !written && (options.external ?? tensors.reduce((sum, tensor) => sum + storedBytes(tensor), 0) > externalAbove);

  const layout = weightsLayout(location);
  const graph = writeModelPlaced(model, (name, tensor) => {
    const { data } = tensor;
    if (!(data instanceof Uint8Array) && data.path === dataPath) return { location, offset: data.offset, length: data.length };
    return external ? layout.place(name, tensor) : null;
  });
  if (external) await writePieces(dataPath, layout.pieces);
  await writePieces(path, [graph]);
}

const weightsPath = (modelPath: string): string => `${modelPath}_data`;
const isInFile = ({ data }: Tensor, path: string): boolean => !(data instanceof Uint8Array) && data.path === path;

/** Takes weights one by one, for models that should never be in memory whole. */
export interface WeightsFile extends AsyncDisposable {
  append(tensor: Tensor): Promise<Tensor>;
}

/** Opens the weights file of the model that will be written to `modelPath`. */
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
      await file.close();
    },
  };
}

async function writePieces(path: string, pieces: readonly Piece[]): Promise<void> {
  try {
    await using file = await open(path, 'w');
    await writeAll(file, pieces.map((piece) => (piece instanceof Uint8Array ? piece : tensorBytes(piece))));
  } catch (error) {
    throw fileError(error, path);
  }
}

/** @file Writing `model.onnx`, and `model.onnx_data` beside it when the weights do not fit well into one protobuf. */
import { open } from 'node:fs/promises';
import { basename } from 'node:path';
import { tensorBytes, writeModel, writeModelPlaced, type Model, type Tensor } from '../onnx/index.ts';
import { fileError } from './errors.ts';

/** Protobuf ends at 2 GiB, and a file of this size is still comfortable to load whole. */
const externalAbove = 512 * 2 ** 20;
/** Small constants stay in the graph, where every reader can fold them. */
const externalTensorBytes = 1024;
/** ONNX Runtime maps weights into memory where they begin on a page. */
const pageBytes = 4096;

const sizeOf = ({ data }: Tensor): number => (data instanceof Uint8Array ? data.byteLength : data.length);

/** Writes the model to `path` (`….onnx`) and syncs it. `external`: weights go to `path` + `_data`; default: when they are large. */
export async function writeOnnxFile(path: string, model: Model, options: { external?: boolean } = {}): Promise<void> {
  const total = [...model.initializers.values()].reduce((sum, tensor) => sum + sizeOf(tensor), 0);
  if (!(options.external ?? total > externalAbove)) return writeChunks(path, [writeModel(model)]);

  const location = `${basename(path)}_data`;
  const chunks: (Uint8Array | Tensor)[] = [];
  let position = 0;
  const graph = writeModelPlaced(model, (_, tensor) => {
    const length = sizeOf(tensor);
    if (length < externalTensorBytes) return null;
    const offset = Math.ceil(position / pageBytes) * pageBytes;
    chunks.push(new Uint8Array(offset - position), tensor);
    position = offset + length;
    return { location, offset, length };
  });
  await writeChunks(`${path}_data`, chunks);
  await writeChunks(path, [graph]);
}

async function writeChunks(path: string, chunks: readonly (Uint8Array | Tensor)[]): Promise<void> {
  const maxWrite = 2 ** 30;
  let file;
  try {
    file = await open(path, 'w');
    for (const chunk of chunks) {
      const bytes = chunk instanceof Uint8Array ? chunk : tensorBytes(chunk);
      for (let done = 0; done < bytes.byteLength; ) {
        done += (await file.write(bytes, done, Math.min(maxWrite, bytes.byteLength - done))).bytesWritten;
      }
    }
    await file.sync();
  } catch (error) {
    throw fileError(error, path);
  } finally {
    await file?.close();
  }
}

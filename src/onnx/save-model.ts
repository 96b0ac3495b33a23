/** @file Models on the disk: one `.onnx` file, or a graph with its weights in a file beside it. */
import { closeSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { basename } from 'node:path';
import { OnnxError, type Model } from './ir.ts';
import { storedBytes, tensorBytes } from './tensor.ts';
import { modelPieces, type Piece, type Placement } from './write-model.ts';

/** Weights of more than this in all lie in a file of their own: protobuf ends at 2 GiB, and readers take a whole .onnx file at once. */
const EXTERNAL_ABOVE = 2 ** 30;
/** Smaller constants stay in the graph, where every reader can fold them. */
const EXTERNAL_TENSOR = 1024;
/** ONNX Runtime maps weights into memory where they begin on a page. */
const PAGE = 4096;

/** Where weights may begin that come behind so many bytes. */
export const pageAfter = (position: number): number => Math.ceil(position / PAGE) * PAGE;

/** Weights on their way to a file of their own: what `place` was asked for stands in `pieces`, in order. */
export interface WeightsLayout {
  readonly place: Placement;
  readonly pieces: readonly Piece[];
}

/** Lays weights out one behind the other, each from a page on, in a file that the graph calls `location`. */
export function weightsLayout(location: string): WeightsLayout {
  const pieces: Piece[] = [];
  let position = 0;
  return {
    pieces,
    place(_, tensor) {
      const length = storedBytes(tensor);
      if (length < EXTERNAL_TENSOR) return null;
      const offset = pageAfter(position);
      pieces.push(new Uint8Array(offset - position), tensor);
      position = offset + length;
      return { location, offset, length };
    },
  };
}

/**
 * Writes a model to `path`; of more than 1 GiB, or with `external`, its weights to `path` + `_data`. Weights go from where they
 * are to the file, one at a time if they lie in another file: memory holds no second copy of the model.
 *
 * Both files appear when they are complete. Where they replace the files that `model` was read from, read it again: its weights may
 * lie at other places now.
 *
 * @throws OnnxError when a file cannot be written or weights cannot be read.
 */
export function saveModel(path: string, model: Model, { external }: { external?: boolean } = {}): void {
  const tensors = [...model.initializers.values()];
  const apart = external ?? tensors.reduce((sum, tensor) => sum + storedBytes(tensor), 0) > EXTERNAL_ABOVE;
  const weights = weightsLayout(`${basename(path)}_data`);
  const graph = modelPieces(model, apart ? weights.place : () => null);
  const files = [...(apart ? [{ path: `${path}_data`, pieces: weights.pieces }] : []), { path, pieces: graph }];
  const aside = (name: string): string => `${name}.${process.pid}.tmp`;
  try {
    for (const file of files) writePieces(aside(file.path), file.pieces);
    for (const file of files) renameSync(aside(file.path), file.path);
  } catch (error) {
    for (const file of files) rmSync(aside(file.path), { force: true });
    throw error instanceof OnnxError ? error : new OnnxError(`cannot write ${path}: ${(error as Error).message}`, { cause: error });
  }
}

function writePieces(path: string, pieces: readonly Piece[]): void {
  const file = openSync(path, 'w');
  try {
    for (const piece of pieces) writeAll(file, piece instanceof Uint8Array ? piece : tensorBytes(piece));
  } finally {
    closeSync(file);
  }
}

/** One write call is capped near 2 GiB by the system, and a disk that fills up takes less than it is given. */
function writeAll(file: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.byteLength; ) done += writeSync(file, bytes, done, Math.min(bytes.byteLength - done, 1 << 30));
}

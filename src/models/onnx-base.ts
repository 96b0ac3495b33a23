/** @file A base that is an ONNX graph already: it is used where it lies, so its weights are judged once and its files remembered. */
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { crc32 } from 'node:zlib';
import { floatValues, OnnxError, parameterNames, readModel, type Model } from '../onnx/index.ts';
import { onnxModelPath } from './base.ts';
import { ModelError } from './errors.ts';
import { requireFinite } from './finite.ts';

/** By path with forward slashes. The time is a short cut: a file that kept it and its size is taken for the same. */
export type BaseFiles = Readonly<Record<string, { bytes: number; modified: number; crc32: string }>>;

/** What decides, besides the graph and its weights, how a model reads and writes. */
const companions = ['config.json', 'generation_config.json', 'tokenizer.json', 'tokenizer_config.json', 'special_tokens_map.json', 'added_tokens.json', 'chat_template.jinja'];

/** Throws a `ModelError` when a weight is NaN or infinite, or the file is no ONNX model. */
export function requireFiniteWeights(directory: string): void {
  const path = join(directory, onnxModelPath);
  try {
    const model = readModel(path);
    // Only parameters: masks and other constants of a graph may well be infinite.
    for (const [initializer, name] of parameterNames(model)) requireFinite(floatValues(model.initializers.get(initializer)!), { name, where: path });
  } catch (error) {
    if (!(error instanceof OnnxError)) throw error;
    throw new ModelError('invalid', error.message, { fix: `Restore or download ${onnxModelPath} and the files of weights beside it again.`, cause: error });
  }
}

export async function measureBase(directory: string): Promise<BaseFiles> {
  const names = [...companions, onnxModelPath, ...externalFiles(directory)];
  const measured = await Promise.all(names.map(async (name) => {
    const path = join(directory, name);
    const found = await stat(path).catch(() => null);
    return found === null ? [] : [[name, { bytes: found.size, modified: found.mtimeMs, crc32: await sumOf(path) }] as const];
  }));
  return Object.fromEntries(measured.flat());
}

/** The first file that is not what it was, or is there and was not; null when all is as before. */
export async function changedFile(directory: string, files: BaseFiles): Promise<string | null> {
  for (const name of new Set([...Object.keys(files), ...companions])) {
    const [before, path] = [files[name], join(directory, name)];
    const now = await stat(path).catch(() => null);
    if ((before?.bytes ?? null) !== (now?.size ?? null)) return name;
    if (before !== undefined && now !== null && now.mtimeMs !== before.modified && (await sumOf(path)) !== before.crc32) return name;
  }
  return null;
}

function externalFiles(directory: string): string[] {
  let model: Model;
  try {
    model = readModel(join(directory, onnxModelPath));
  } catch (error) {
    // Whoever opens the engine gets to know what is wrong with it.
    if (error instanceof OnnxError) return [];
    throw error;
  }
  const paths = [...model.initializers.values()].flatMap(({ data }) => (data instanceof Uint8Array ? [] : [data.path]));
  return [...new Set(paths)].map((path) => relative(directory, path).split(sep).join('/'));
}

/** CRC-32, as for checkpoints: it finds damage as well as a cryptographic hash would, in a quarter of the time. */
async function sumOf(path: string): Promise<string> {
  let sum = 0;
  for await (const piece of createReadStream(path, { highWaterMark: 2 ** 20 })) sum = crc32(piece as Buffer, sum);
  return sum.toString(16).padStart(8, '0');
}

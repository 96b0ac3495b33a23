/** @file What config.json says of a model's size, before its graph is read. */
import { NotAFile, readRegularFile } from '../util/regular-file.ts';

export interface ModelLimits {
  /** Positions that the model knows. */
  contextLength: number;
  /** The widest row that may hold several texts: windows of attention are measured in columns, and so are the masks of old exporters. */
  sharedWidth: number;
}

/** From config.json, by the names that architectures have for it. */
export async function readLimits(path: string): Promise<ModelLimits> {
  let config: Record<string, unknown> | null;
  try {
    config = JSON.parse(await readRegularFile(path)) as typeof config;
  } catch (error) {
    if (isMissing(error)) throw new Error(`${path} does not exist; a model directory holds config.json, tokenizer files and onnx/model.onnx`, { cause: error });
    if (error instanceof NotAFile) throw new Error(error.message, { cause: error });
    throw new Error(`${path} is not JSON: ${error instanceof Error ? error.message : String(error)}; restore or download the file again`, { cause: error });
  }
  const length = config?.['max_position_embeddings'] ?? config?.['n_positions'] ?? 2048;
  if (!Number.isSafeInteger(length) || (length as number) < 1) throw new Error(`${path}: max_position_embeddings is ${JSON.stringify(length)}, expected a whole number from 1`);
  const windows = config?.['use_sliding_window'] === false ? [] : WINDOWS.map((key) => config?.[key]).filter((window) => typeof window === 'number');
  return { contextLength: length as number, sharedWidth: Math.min(length as number, ...windows) };
}

const WINDOWS = ['sliding_window', 'window_size', 'attention_window', 'attention_chunk_size'];

/** Is it, or what caused it, that a file is not there? */
export const isMissing = (error: unknown): boolean => {
  for (let at: unknown = error; at instanceof Error; at = at.cause) if ((at as NodeJS.ErrnoException).code === 'ENOENT' || (at as { kind?: string }).kind === 'not_found') return true;
  return false;
};

/** @file The files of a repository of the Hub: which of them a model needs, and whether what has arrived is what was meant. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { supportedModelTypes } from './architectures/index.ts';
import { ModelError } from './errors.ts';

export interface HubFile {
  path: string;
  size: number;
  /** What git or LFS says about the content; null where nobody says it. */
  hash: { kind: 'sha256' | 'git'; hex: string } | null;
}

const small = /^(?:config|generation_config|tokenizer|tokenizer_config|special_tokens_map|added_tokens|chat_template)\.json$|^chat_template\.jinja$/;
/** These are read whole, and no tokenizer is that large. */
const maxSmallBytes = 256 * 2 ** 20;

/** The tokenizer, and either the safetensors of an architecture we build ourselves, or the float32 ONNX graph. */
export function selectFiles(files: readonly HubFile[], modelType: unknown): HubFile[] {
  const paths = new Set(files.map(({ path }) => path));
  const hasSafetensors = paths.has('model.safetensors') || paths.has('model.safetensors.index.json');
  const weights = hasSafetensors && supportedModelTypes.some((type) => type === modelType) ? /^model(?:-\d+-of-\d+)?\.safetensors(?:\.index\.json)?$/ : /^onnx\/model\.onnx(?:_data(?:_\d+)?)?$/;
  return files.filter(({ path }) => small.test(path) || weights.test(path));
}

/** The path becomes a place on this disk: nothing in it may climb out of the snapshot, on any system. */
export function checkFile(file: HubFile): HubFile {
  const { path, size } = file;
  const isImpossible = typeof path !== 'string' || path.split(/[/\\]/).includes('..') || /^[/\\]|^[a-zA-Z]:|\\/.test(path) || path.includes('\0') || !Number.isSafeInteger(size) || size < 0;
  if (isImpossible || (small.test(path) && size > maxSmallBytes)) {
    throw new ModelError('invalid', `the repository lists an impossible file: ${JSON.stringify(path)}${isImpossible ? '' : ` with ${size} bytes`}`, { fix: 'Do not use this repository.' });
  }
  return file;
}

/** LFS files are named by their sha-256, others by git's sha-1 of "blob <size>\0" and the content. */
export async function isIntact(path: string, { hash, size }: HubFile): Promise<boolean> {
  const found = await stat(path).catch(() => null);
  if (found?.size !== size) return false;
  if (hash === null) return true;
  const sum = createHash(hash.kind === 'git' ? 'sha1' : 'sha256');
  if (hash.kind === 'git') sum.update(`blob ${size}\0`);
  await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), sum);
  return sum.digest('hex') === hash.hex;
}

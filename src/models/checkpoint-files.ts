/** @file One checkpoint on disk: `checkpoint.json`, `weights.safetensors`, `optimizer.safetensors`. */
import { statSync } from 'node:fs';
import { open, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { jsonText, writeJsonDurably } from './durable.ts';
import { errorCode, fileError, ModelError } from './errors.ts';
import type { Checkpoint } from './types.ts';

/** What is stored: the checkpoint, and enough about its files to notice damage. */
export interface StoredCheckpoint extends Checkpoint {
  /** By name; empty once the checkpoint is pruned. The first checkpoints ever made have other sums, which nobody looks at any more. */
  files: Record<string, { bytes: number; crc32?: string }>;
  /** The weights were deleted on purpose; the node stays in the tree. */
  pruned: boolean;
}

export const weightsFile = 'weights.safetensors';
export const optimizerFile = 'optimizer.safetensors';
const metadataFile = 'checkpoint.json';
/** Directories that a writer has not finished. Garbage as soon as nobody holds the lock. */
export const temporaryPrefix = '.tmp-';

/** Measures the state files that lie in a directory without a name yet, and writes `checkpoint.json` beside them. */
export async function sealCheckpoint(directory: string, checkpoint: Checkpoint): Promise<StoredCheckpoint> {
  const names = await readdir(directory);
  const measured = await Promise.all(names.map(async (name) => [name, await measure(join(directory, name))] as const));
  const files: StoredCheckpoint['files'] = Object.fromEntries(measured);
  if (files[weightsFile] === undefined) throw new Error(`no ${weightsFile} was written to ${directory}`);
  const stored: StoredCheckpoint = { ...checkpoint, files, pruned: false };
  await writeFile(join(directory, metadataFile), jsonText(stored));
  return stored;
}

export interface CheckpointScan {
  /** Oldest first. */
  checkpoints: StoredCheckpoint[];
  /** Directories that hold no readable checkpoint. */
  problems: { name: string; error: ModelError }[];
}

/** Reads all checkpoints of a model, oldest first, and says which cannot be read. */
export async function readCheckpoints(directory: string): Promise<CheckpointScan> {
  let names: string[];
  try {
    names = (await readdir(directory)).filter((name) => !name.startsWith(temporaryPrefix));
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw fileError(error, directory);
    names = [];
  }
  const checkpoints: StoredCheckpoint[] = [];
  const problems: CheckpointScan['problems'] = [];
  for (const name of names) {
    try {
      checkpoints.push(await readCheckpoint(join(directory, name), name));
    } catch (error) {
      if (!(error instanceof ModelError)) throw error;
      problems.push({ name, error });
    }
  }
  return { checkpoints: checkpoints.sort((a, b) => a.createdAt.localeCompare(b.createdAt) || a.step - b.step || a.name.localeCompare(b.name)), problems };
}

async function readCheckpoint(directory: string, name: string): Promise<StoredCheckpoint> {
  const path = join(directory, metadataFile);
  let value: Partial<StoredCheckpoint>;
  try {
    value = JSON.parse(await readFile(path, 'utf8')) as Partial<StoredCheckpoint>;
  } catch (error) {
    throw damaged(name, errorCode(error) === 'ENOENT' ? `${path} is missing` : `${path} cannot be read (${(error as Error).message})`, error);
  }
  if (value === null || typeof value !== 'object' || typeof value.id !== 'string' || value.name !== name || typeof value.files !== 'object' || value.files === null) {
    throw damaged(name, `${path} is not this checkpoint's description`);
  }
  return value as StoredCheckpoint;
}

/** Throws unless every file is there in its full length. Synchronous and cheap: it looks at sizes only. */
export function checkFiles(directory: string, { name, files, pruned }: StoredCheckpoint): void {
  if (pruned) {
    throw new ModelError('not_found', `the weights of ${name} were pruned`, { fix: 'Choose a checkpoint that still has its weights: rlrun models checkpoints lists them.' });
  }
  for (const [file, { bytes }] of Object.entries(files)) {
    const path = join(directory, file);
    const size = statSync(path, { throwIfNoEntry: false })?.size;
    if (size === undefined) throw damaged(name, `${path} is missing`);
    if (size !== bytes) throw damaged(name, `${path} has ${size} bytes instead of ${bytes}`);
  }
}

/** As `checkFiles`, and reads every byte. */
export async function verifyFiles(directory: string, checkpoint: StoredCheckpoint): Promise<void> {
  checkFiles(directory, checkpoint);
  for (const [file, expected] of Object.entries(checkpoint.files)) {
    const path = join(directory, file);
    if (expected.crc32 !== undefined && (await measure(path)).crc32 !== expected.crc32) throw damaged(checkpoint.name, `${path} was changed after it was written (its checksum differs)`);
  }
}

/**
 * Deletes the state files; `checkpoint.json` stays. The note comes first: a crash in between leaves a pruned checkpoint with files. Only where
 * the disk has no room for the note, which is when people prune, files make it.
 */
export async function deleteState(directory: string, checkpoint: StoredCheckpoint): Promise<StoredCheckpoint> {
  const pruned: StoredCheckpoint = { ...checkpoint, files: {}, pruned: true };
  const files = new Set([optimizerFile, weightsFile, ...Object.keys(checkpoint.files)]);
  const note = (): Promise<void> => writeJsonDurably(join(directory, metadataFile), pruned);
  await note().catch(async (error: unknown) => {
    if (!(error instanceof ModelError) || !['ENOSPC', 'EDQUOT'].includes(errorCode(error.cause) ?? '')) throw error;
    for (const file of files) await rm(join(directory, file), { force: true });
    await note();
  });
  for (const file of files) await rm(join(directory, file), { force: true });
  return pruned;
}

export const stateBytes = ({ files }: StoredCheckpoint): number => Object.values(files).reduce((sum, { bytes }) => sum + bytes, 0);

function damaged(name: string, what: string, cause?: unknown): ModelError {
  return new ModelError('invalid', `checkpoint ${name} is damaged: ${what}`, {
    fix: 'Restore it from a backup, or go on from another checkpoint: rlrun models head MODEL --set CHECKPOINT.',
    cause,
  });
}

/** Large enough that the calls do not count, small enough that a piece is still in the processor's cache when it is summed up. */
const PIECE_BYTES = 2 ** 20;

/** Pieces that no file is read into now. Every step of a job measures two files: fresh memory for each would pile up until the garbage collector comes. */
const spares: Buffer[] = [];

/**
 * The length of a file and its CRC-32, in hexadecimal digits: that finds damage as well as a cryptographic hash would, in a quarter of the
 * time, and every step of a job pays for it.
 */
async function measure(path: string): Promise<{ bytes: number; crc32: string }> {
  const piece = spares.pop() ?? Buffer.allocUnsafe(PIECE_BYTES);
  try {
    await using file = await open(path, 'r');
    for (let bytes = 0, sum = 0; ; ) {
      const { bytesRead } = await file.read(piece, 0, PIECE_BYTES);
      if (bytesRead === 0) return { bytes, crc32: sum.toString(16).padStart(8, '0') };
      sum = crc32(piece.subarray(0, bytesRead), sum);
      bytes += bytesRead;
    }
  } catch (error) {
    throw fileError(error, path);
  } finally {
    spares.push(piece);
  }
}

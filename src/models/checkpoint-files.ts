/** @file One checkpoint on disk: `checkpoint.json`, `weights.safetensors`, `optimizer.safetensors`. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { open, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { checkRegularFile } from '../util/regular-file.ts';
import type { Shape } from '../util/shape.ts';
import { type Parsed, parseStored, storedJson } from '../util/stored-json.ts';
import { writeTextDurably } from './durable.ts';
import { errorCode, fileError, isDiskFull } from './errors.ts';
import type { Checkpoint } from './types.ts';

/** What is stored: the checkpoint, and enough about its files to notice damage. */
export interface StoredCheckpoint extends Checkpoint {
  /** By name; empty once the checkpoint is pruned. The first checkpoints ever made have other sums, which nobody looks at any more. */
  files: Record<string, { bytes: number; crc32?: string }>;
  /** The weights were deleted on purpose; the node stays in the tree. */
  pruned: boolean;
}

const checkpointShape: Shape<StoredCheckpoint> = {
  id: 'a text',
  name: 'a text',
  parent: 'a text or null',
  step: 'a whole number',
  createdAt: 'a date',
  traces: 'a number',
  datums: 'a number',
  tokens: 'a number',
  meanReward: 'a number or null',
  learningRate: 'a number or null',
  loss: 'a text or null',
  metrics: 'an object',
  jobId: 'a text or null',
  hashes: { config: 'a text or null', taskset: 'a text or null', reward: 'a text or null' },
  files: 'an object',
  pruned: 'true or false',
};

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
  await writeFile(join(directory, metadataFile), storedJson(stored));
  return stored;
}

export interface CheckpointScan {
  /** Oldest first. */
  checkpoints: StoredCheckpoint[];
  /** Directories that hold no readable checkpoint. */
  problems: { name: string; problem: string }[];
}

/** Reads all checkpoints of a model, oldest first, and says which cannot be read. Synchronous: of thousands of small files that takes a tenth of the time. */
export function readCheckpoints(directory: string): CheckpointScan {
  let names: string[];
  try {
    names = readdirSync(directory).filter((name) => !name.startsWith(temporaryPrefix));
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw fileError(error, directory);
    names = [];
  }
  const checkpoints: StoredCheckpoint[] = [];
  const problems: CheckpointScan['problems'] = [];
  for (const name of names) {
    const read = readCheckpoint(join(directory, name), name);
    if (read.ok) checkpoints.push(read.value);
    else problems.push({ name, problem: read.problem });
  }
  const inOrder = (a: StoredCheckpoint, b: StoredCheckpoint): number => compareText(a.createdAt, b.createdAt) || a.step - b.step || compareText(a.name, b.name);
  return { checkpoints: checkpoints.sort(inOrder), problems };
}

/** Dates of one form and names sort by their characters, at a fraction of the time that a language's own order takes. */
const compareText = (a: string, b: string): number => (a < b ? -1 : Number(a > b));

/** The description of one checkpoint, or what is wrong with it. */
export function readCheckpoint(directory: string, name: string): Parsed<StoredCheckpoint> {
  const path = join(directory, metadataFile);
  let text: string;
  try {
    checkRegularFile(path);
    text = readFileSync(path, 'utf8');
  } catch (error) {
    return { ok: false, problem: errorCode(error) === 'ENOENT' ? `${path} is missing` : `${path} cannot be read (${(error as Error).message})` };
  }
  const parsed = parseStored(text, checkpointShape);
  if (!parsed.ok) return { ok: false, problem: `${path} cannot be read: ${parsed.problem}` };
  return parsed.value.name === name ? parsed : { ok: false, problem: `${path} is the description of ${parsed.value.name}` };
}

/** What is wrong with the state files, as far as their sizes tell; null if nothing is. Synchronous and cheap. */
export function sizeProblem(directory: string, { files }: StoredCheckpoint): string | null {
  for (const [file, { bytes }] of Object.entries(files)) {
    const path = join(directory, file);
    const size = statSync(path, { throwIfNoEntry: false })?.size;
    if (size === undefined) return `${path} is missing`;
    if (size !== bytes) return `${path} has ${size} bytes instead of ${bytes}`;
  }
  return null;
}

/** As `sizeProblem`, and reads every byte. */
export async function contentProblem(directory: string, checkpoint: StoredCheckpoint): Promise<string | null> {
  const problem = sizeProblem(directory, checkpoint);
  if (problem !== null) return problem;
  for (const [file, expected] of Object.entries(checkpoint.files)) {
    const path = join(directory, file);
    if (expected.crc32 !== undefined && (await measure(path)).crc32 !== expected.crc32) return `${path} was changed after it was written (its checksum differs)`;
  }
  return null;
}

/**
 * Deletes the state files; `checkpoint.json` stays. The note comes first: a crash in between leaves a pruned checkpoint with files. Only on a full
 * disk it comes last, when there is room for it.
 */
export async function deleteState(directory: string, checkpoint: StoredCheckpoint): Promise<StoredCheckpoint> {
  const pruned: StoredCheckpoint = { ...checkpoint, files: {}, pruned: true };
  const note = (): Promise<void> => writeTextDurably(join(directory, metadataFile), storedJson(pruned));
  const isNoted = await note().then(
    () => true,
    (error: unknown) => {
      if (!isDiskFull(error)) throw error;
      return false;
    },
  );
  for (const file of [...Object.keys(checkpoint.files), weightsFile, optimizerFile]) await rm(join(directory, file), { force: true });
  if (!isNoted) await note();
  return pruned;
}

export const stateBytes = ({ files }: StoredCheckpoint): number => Object.values(files).reduce((sum, { bytes }) => sum + bytes, 0);

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

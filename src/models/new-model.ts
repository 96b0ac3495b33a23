/** @file The directory of a model that did not exist: its record, its head and the checkpoint that it starts from, if it is one. */
import { constants } from 'node:fs';
import { copyFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { makeFolder } from '../util/make-folder.ts';
import { sealCheckpoint, weightsFile } from './checkpoint-files.ts';
import { publishDirectory, removeDirectory } from './durable.ts';
import { errorCode, fileError, ModelError } from './errors.ts';
import { exists } from './files.ts';
import { nameBeside, sweepBeside } from './leftovers.ts';
import { nameTaken } from './model-directory.ts';
import type { StartingCheckpoint } from './origin.ts';
import { writeRecord, type BasePlaces } from './record.ts';
import { writeHead, type Injected } from './stored-model.ts';
import type { Checkpoint, ModelRecord } from './types.ts';

export interface NewModelOptions extends BasePlaces, Injected {
  directory: string;
  /** Null: as the base is. */
  checkpoint: StartingCheckpoint | null;
}

/** Another process made a model of that name meanwhile. */
export class NameTaken extends ModelError {
  constructor(message: string, options: { fix: string; cause?: unknown }) {
    super('conflict', message, options);
  }
}

/** Made beside its place and renamed, so that half a model never has a name. */
export async function createModel(record: ModelRecord, { directory, checkpoint, root, builtins, ...injected }: NewModelOptions): Promise<void> {
  await sweepBeside(directory);
  const temporary = nameBeside(directory, 'tmp');
  try {
    await makeFolder(join(temporary, 'checkpoints'));
    await writeRecord(temporary, record, { root, builtins });
    const start = checkpoint === null ? null : await copyCheckpoint(checkpoint, join(temporary, 'checkpoints'), injected);
    await writeHead(temporary, start);
    await publishDirectory(temporary, directory);
  } catch (error) {
    await removeDirectory(temporary).catch(() => {});
    const taken = error instanceof ModelError && nameTaken.has(errorCode(error.cause) ?? '') && (await exists(directory));
    if (taken) throw new NameTaken(`another process has just made model "${record.slug}"`, { fix: 'Choose another name, or add --if-not-exists to go on with it.', cause: error });
    throw errorCode(error) === undefined ? error : fileError(error, directory);
  }
}

/** The weights a fork starts from are its own copy, so that pruning the source cannot take them away. Moments start anew. */
async function copyCheckpoint({ model, id }: StartingCheckpoint, checkpoints: string, { now, newId }: Injected): Promise<Checkpoint> {
  const from = await model.verifiedDirectory(id);
  const { hashes } = await model.find(id);
  const name = 'step-000000';
  const directory = join(checkpoints, name);
  await mkdir(directory);
  await copyFile(join(from, weightsFile), join(directory, weightsFile), constants.COPYFILE_FICLONE);
  return sealCheckpoint(directory, {
    id: newId(), name, parent: null, step: 0, createdAt: now().toISOString(),
    traces: 0, datums: 0, tokens: 0, meanReward: null, learningRate: null, loss: null, metrics: {}, jobId: null, hashes,
  });
}

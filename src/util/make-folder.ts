/** @file Folders that may be there already, with the truth when they cannot be made. */
import { mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Makes a folder and those above it. */
export async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true });
  } catch (error) {
    throw await realError(path, error as NodeJS.ErrnoException);
  }
}

/** Node's recursive way says that the folder does not exist, or that a file does, where the system said why one above it cannot be made: the first missing one is asked for alone. */
async function realError(path: string, error: NodeJS.ErrnoException): Promise<NodeJS.ErrnoException> {
  if (error.code !== 'ENOENT' && error.code !== 'EEXIST') return error;
  const missing: string[] = [];
  for (let at = path; ; at = dirname(at)) {
    const found = await stat(at).catch((reason: NodeJS.ErrnoException) => reason);
    if (!(found instanceof Error)) {
      if (!found.isDirectory()) return Object.assign(new Error(`ENOTDIR: not a directory, mkdir '${path}'`), { code: 'ENOTDIR', path: at });
      break;
    }
    if (found.code !== 'ENOENT' || dirname(at) === at) return found;
    missing.push(at);
  }
  return mkdir(missing.at(-1) ?? path).then(() => error, (reason: NodeJS.ErrnoException) => reason);
}

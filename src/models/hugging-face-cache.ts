/** @file What other tools have downloaded before: the cache of Hugging Face's own libraries, which is read and never written. */
import { constants } from 'node:fs';
import { copyFile, link, readdir, readFile, realpath, rename, stat } from 'node:fs/promises';
import { basename, dirname, join, relative, sep } from 'node:path';
import { makeFolder } from '../util/make-folder.ts';
import { type HubFile, isIntact } from './hub-files.ts';

export interface HuggingFaceCache {
  /** The commit that a branch or tag pointed to when somebody looked last; null if nobody did. */
  commitOf(revision: string): Promise<string | null>;
  /** What it has of a commit. Its files are links to others that are named by their hash. */
  filesOf(commit: string): Promise<HubFile[]>;
  /** Gives a file of it another name, at `path`; false if it has none that is right. */
  take(file: HubFile, commit: string, path: string): Promise<boolean>;
}

export function huggingFaceCache(directory: string, repository: string): HuggingFaceCache {
  const folder = join(directory, `models--${repository.replace('/', '--')}`);
  const snapshot = (commit: string): string => join(folder, 'snapshots', commit);
  return {
    async commitOf(revision) {
      const text = (await readFile(join(folder, 'refs', ...revision.split('/')), 'utf8').catch(() => '')).trim();
      const commit = /^[0-9a-f]{40}$/.test(text) ? text : revision;
      return (await stat(snapshot(commit)).catch(() => null))?.isDirectory() === true ? commit : null;
    },
    async filesOf(commit) {
      const entries = await readdir(snapshot(commit), { recursive: true, withFileTypes: true }).catch(() => []);
      const files = await Promise.all(entries.map(async (entry): Promise<HubFile[]> => {
        const path = join(entry.parentPath, entry.name);
        const found = await stat(path).catch(() => null);
        return found?.isFile() === true ? [{ path: relative(snapshot(commit), path).split(sep).join('/'), size: found.size, hash: hashOfBlob(basename(await realpath(path))) }] : [];
      }));
      return files.flat();
    },
    async take(file, commit, path) {
      const source = join(snapshot(commit), ...file.path.split('/'));
      if (!(await isIntact(source, file).catch(() => false))) return false;
      await makeFolder(dirname(path));
      const real = await realpath(source);
      // A second name takes no space; on another file system a copy has to do.
      await link(real, path).catch(async () => {
        await copyFile(real, `${path}.part`, constants.COPYFILE_FICLONE);
        await rename(`${path}.part`, path);
      });
      return true;
    },
  };
}

function hashOfBlob(name: string): HubFile['hash'] {
  if (/^[0-9a-f]{64}$/.test(name)) return { kind: 'sha256', hex: name };
  return /^[0-9a-f]{40}$/.test(name) ? { kind: 'git', hex: name } : null;
}

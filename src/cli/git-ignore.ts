/** Models and jobs are no source: git should not see them. */
import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readRegularFile } from '../util/regular-file.ts';

const ENTRY = '.rlrun/';

/** Adds `.rlrun/` to the `.gitignore` of a folder, or writes one. Says what it did; null if it was there already. */
export async function ignoreInGit(folder: string): Promise<string | null> {
  const path = join(folder, '.gitignore');
  const text = await readRegularFile(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw error;
  });
  if (text !== null && /^\/?\.rlrun\/?\s*$/m.test(text)) return null;
  await appendFile(path, `${text === null || text === '' || text.endsWith('\n') ? '' : '\n'}${ENTRY}\n`);
  return text === null ? `wrote .gitignore with ${ENTRY}` : `added ${ENTRY} to .gitignore`;
}

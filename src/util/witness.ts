/**
 * @file A sign of life for those who cannot look a process up, since its number means nothing in their container: a socket in the file system
 * that only a living process answers. Linux alone has such containers, and ways to name a socket however deep its folder lies.
 */
import { closeSync, openSync, rmSync } from 'node:fs';
import { createServer, connect } from 'node:net';
import { basename, dirname } from 'node:path';

/** Answers at `path` until it is disposed, or until this process ends; null where that cannot be. */
export async function bearWitness(path: string): Promise<Disposable | null> {
  const short = shortName(path);
  if (short === null) return null;
  const server = createServer((socket) => socket.destroy()).unref();
  const dispose = (): void => {
    server.close();
    rmSync(path, { force: true });
    short[Symbol.dispose]();
  };
  return new Promise((resolve) => {
    server.once('error', () => (dispose(), resolve(null)));
    server.listen(short.path, () => resolve({ [Symbol.dispose]: dispose }));
  });
}

/** Does somebody answer there? Null: there is nothing to knock at. */
export async function isWitnessed(path: string): Promise<boolean | null> {
  using short = shortName(path);
  if (short === null) return null;
  return new Promise((resolve) => {
    const socket = connect(short.path);
    const answer = (isThere: boolean | null) => (socket.destroy(), resolve(isThere));
    socket.once('connect', () => answer(true));
    socket.once('error', (error: NodeJS.ErrnoException) => answer(error.code === 'ECONNREFUSED' ? false : null));
  });
}

/** The name of a socket has at most 107 bytes: an open folder has a short one. */
function shortName(path: string): ({ path: string } & Disposable) | null {
  if (process.platform !== 'linux') return null;
  try {
    const folder = openSync(dirname(path), 'r');
    return { path: `/proc/self/fd/${folder}/${basename(path)}`, [Symbol.dispose]: () => closeSync(folder) };
  } catch {
    return null;
  }
}

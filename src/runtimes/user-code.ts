import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { RuntimeSettings } from '../config/types.ts';
import { userEnvironment } from '../util/user-environment.ts';
import type { Sources } from '../util/user-sources.ts';
import { type Call, Pool } from './pool.ts';
import { CHANNEL_FD } from './serve.ts';
import type { Failure, OpenPlace } from './types.ts';
import type { OpenReply, OpenRequest } from './user-modules.ts';
import { workerPlace } from './worker-place.ts';

export interface UserCodeOptions {
  /** The file that serves the calls (`serveUserModules`). */
  entry: URL;
  /** Absolute paths of the modules to load; none is fine for calls that need no module. */
  paths: readonly string[];
  runtime: RuntimeSettings;
  /** What the code prints. */
  onOutput?: ((text: string) => void) | undefined;
  signal?: AbortSignal | undefined;
}

/** Loaded user modules in as many places as the runtime allows, all with the same version of every file. */
export interface UserCode extends AsyncDisposable {
  readonly pool: Pool;
  /** Files that were read, absolute, without those of installed packages. */
  readonly files: readonly string[];
  /** Their sources, for a place of another kind that is to load the same. */
  readonly sources: Sources;
  /** Hash of the code that was read; comments and layout do not count. */
  readonly hash: string;
}

export type OpenedUserCode = { ok: true; code: UserCode } | { ok: false; failure: Failure; files: readonly string[] };

export async function openUserCode({ entry, paths, runtime, onOutput, signal }: UserCodeOptions): Promise<OpenedUserCode> {
  let sources: Sources | null = null;
  const pool = new Pool({
    // A pattern or a schema can loop or hoard, but it cannot do anything else.
    open: await javaScriptPlace(entry, paths.length === 0 ? { ...runtime, kind: 'local' } : runtime, onOutput),
    size: runtime.concurrency,
    setupTimeoutMs: runtime.setupTimeoutMs,
    welcome: {
      method: 'open',
      params: (): OpenRequest => ({ paths, sources }),
      check(reply) {
        const opened = reply as OpenReply;
        sources ??= opened.sources;
        return opened.fault === null ? null : { type: 'exception', ...opened.fault };
      },
    },
  });
  const first = await pool.use(async (_call: Call, place) => (place.ended ? { ok: false as const, failure: place.ended } : null), signal);
  const kept: Sources = sources ?? {};
  const read = Object.entries(kept);
  const files = read.map(([url]) => fileURLToPath(url));
  if (first) {
    await pool[Symbol.asyncDispose]();
    return { ok: false, failure: first.failure, files: [...new Set([...paths, ...files])] };
  }
  const hash = createHash('sha256');
  for (const [, source] of read) hash.update(source.canonical).update('\0');
  return { ok: true, code: { pool, files, sources: kept, hash: hash.digest('hex'), [Symbol.asyncDispose]: () => pool[Symbol.asyncDispose]() } };
}

/** What a bare Node child holds before any user code is loaded. */
const NODE_ITSELF_MB = 64;

/** A worker thread for `local`, a Node child for `subprocess`. */
async function javaScriptPlace(entry: URL, { kind, cwd, memoryMb, ...runtime }: RuntimeSettings, onOutput?: (text: string) => void): Promise<OpenPlace> {
  const output = onOutput ? { onOutput } : {};
  const env = userEnvironment(runtime.env);
  if (kind === 'local') return workerPlace({ entry, env, memoryMb, ...output });
  const { childPlace } = await import('./child-place.ts');
  const file = fileURLToPath(entry);
  const command = [process.execPath, `--max-old-space-size=${memoryMb}`, file];
  // User code may remove the folder that it runs in; the next child starts all the same.
  return (handlers) => childPlace({ command, cwd: existsSync(cwd) ? cwd : dirname(file), env, replies: CHANNEL_FD, memoryMb, ownMemoryMb: NODE_ITSELF_MB, ...output })(handlers);
}

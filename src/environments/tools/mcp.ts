/** @file Tools of an MCP server: a program that is started for every rollout, or an address at which every rollout begins a session. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { StreamableHTTPClientTransport, type Transport } from '@modelcontextprotocol/client';
import pLimit from 'p-limit';
import type { ToolSettings } from '../../config/types.ts';
import { isProgram, type OpenPlace, programFiles, programPlace } from '../../runtimes/index.ts';
import { loadFailure } from '../../util/load-error.ts';
import { userEnvironment } from '../../util/user-environment.ts';
import type { Toolbox } from '../types.ts';
import { openMcpSession } from './mcp-session.ts';
import { placeTransport } from './place-transport.ts';
import { type LoadedToolbox, offered, type ToolboxOptions } from './types.ts';

type Settings = Extract<ToolSettings, { kind: 'mcp' }>;

/** A result may be a picture, which is then left out; it has to get here for that. */
const MAX_LINE_BYTES = 16 * 2 ** 20;

export async function openMcpTools(settings: Settings, { runtime, onOutput }: ToolboxOptions): Promise<LoadedToolbox> {
  const hash = createHash('sha256');
  if ('url' in settings) {
    const { url, headers } = settings;
    return { ok: true, toolbox: boxOver(() => new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } }), { settings, runtime, files: [], hash: hash.update(url).digest('hex') }) };
  }
  const { command, cwd } = settings;
  if (!isProgram(command[0]!, cwd)) return loadFailure(`There is no program ${command[0]!}.`, `It is looked for in ${/[\\/]/.test(command[0]!) ? cwd : 'the folders of PATH'}.`, { key: 'command.0' });
  const open: OpenPlace = await programPlace({ command, cwd, env: userEnvironment(runtime.env), replies: 'stdout', memoryMb: runtime.memoryMb, maxLineBytes: MAX_LINE_BYTES, ...(onOutput ? { onOutput } : {}) });
  const files = programFiles(command, cwd);
  for (const file of files) hash.update(readFileSync(file)).update('\0');
  return { ok: true, toolbox: boxOver(() => placeTransport(open), { settings, runtime, files, hash: hash.update(command.join('\0')).digest('hex') }) };
}

interface BoxOptions extends Pick<ToolboxOptions, 'runtime'>, Pick<Toolbox, 'files' | 'hash'> {
  settings: Settings;
}

function boxOver(transport: () => Transport, { settings, runtime, files, hash }: BoxOptions): Toolbox {
  // A session is held for as long as its rollout lasts; who is too many waits before its first turn.
  const seats = pLimit(runtime.concurrency);
  return {
    files,
    hash,
    open: (signal) => new Promise((resolve, reject) => {
      void seats(async () => {
        try {
          signal.throwIfAborted();
          const { timeoutMs } = settings;
          const session = await openMcpSession({ transport: transport(), setupTimeoutMs: runtime.setupTimeoutMs, timeoutMs, pick: (tools) => offered(tools, settings), signal });
          if (!session.ok) return void resolve(session);
          const left = Promise.withResolvers<void>();
          resolve({ ok: true, value: { ...session.value, [Symbol.asyncDispose]: async () => { await session.value[Symbol.asyncDispose](); left.resolve(); } } });
          await left.promise;
        } catch (error) {
          reject(error as Error);
        }
      });
    }),
    [Symbol.asyncDispose]: async () => {},
  };
}

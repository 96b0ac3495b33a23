/** @file Tools of a TypeScript module, run where rewards run: their time and memory are limited, and what they do to their place is theirs. */
import { openUserCode, type UserCode } from '../../runtimes/index.ts';
import { loadFailure } from '../../util/load-error.ts';
import { workerUrl } from '../../util/worker-url.ts';
import type { ToolSettings } from '../../config/types.ts';
import type { Tool, Toolbox, ToolResult } from '../types.ts';
import { type LoadedToolbox, offered, type ToolboxOptions } from './types.ts';
import type { ToolCalls } from './tools.worker.ts';

export async function openModuleTools(settings: Extract<ToolSettings, { kind: 'module' }>, { runtime, onOutput, signal }: ToolboxOptions): Promise<LoadedToolbox> {
  const { path, timeoutMs } = settings;
  const opened = await openUserCode({ entry: workerUrl('tools.worker', import.meta.url), paths: [path], runtime, onOutput, signal });
  if (!opened.ok) return loadFailure(`${path} cannot be loaded: ${opened.failure.message}.`, 'Mend the file; it exports `tools`.', { key: 'path', at: opened.failure.at ?? null, files: opened.files });
  const { code } = opened;
  const listed = await code.pool.call('list', { path } satisfies ToolCalls['list']['params'], { timeoutMs: runtime.setupTimeoutMs, signal });
  if (!listed.ok) {
    await code[Symbol.asyncDispose]();
    return loadFailure(`${path}: ${listed.failure.message}.`, 'Write `export const tools = { name: { description, parameters, run(args) { … } } }`.', { key: 'path', files: code.files });
  }
  return { ok: true, toolbox: boxOver(code, { path, timeoutMs, tools: offered(listed.value as Tool[], settings) }) };
}

function boxOver(code: UserCode, { path, timeoutMs, tools }: { path: string; timeoutMs: number; tools: readonly Tool[] }): Toolbox {
  const session = {
    tools,
    async call({ name, arguments: args }: { name: string; arguments: Record<string, unknown> }, signal: AbortSignal): Promise<ToolResult> {
      const called = await code.pool.call('call', { path, name, args } satisfies ToolCalls['call']['params'], { timeoutMs, signal });
      if (called.ok) return called.value as ToolResult;
      const { type, message } = called.failure;
      return { text: `Error: ${message}`, failure: type === 'timeout' ? 'timeout' : 'error' };
    },
    [Symbol.asyncDispose]: async () => {},
  };
  return {
    // A module has no sessions: what it remembers, it remembers for all rollouts of its place.
    open: async () => ({ ok: true, value: session }),
    files: code.files,
    hash: code.hash,
    [Symbol.asyncDispose]: () => code[Symbol.asyncDispose](),
  };
}

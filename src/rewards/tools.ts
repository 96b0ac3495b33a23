import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import pLimit, { type LimitFunction } from 'p-limit';
import type { RewardSettings, RuntimeSettings } from '../config/types.ts';
import { type Environment, openEnvironment } from '../environments/index.ts';
import { openUserCode, type Outcome, programFiles, type UserCode } from '../runtimes/index.ts';
import { workerUrl } from '../util/worker-url.ts';
import type { GraderCalls } from './grader.worker.ts';

/** What graders share: places for user code, opened when the first of them needs one. */
export interface GraderTools extends AsyncDisposable {
  readonly runtime: RuntimeSettings;
  /** What user code prints goes here. */
  readonly onOutput: ((text: string) => void) | undefined;
  /** A call into a place that has every reward module loaded. */
  inWorker<M extends keyof GraderCalls>(method: M, params: GraderCalls[M]['params'], signal?: AbortSignal): Promise<Outcome<GraderCalls[M]['result']>>;
  /** What grades the tasks that a template made. */
  environmentOf(source: string): Promise<Outcome<Environment>>;
  /** At most `runtime.concurrency` programs at a time. */
  readonly limit: LimitFunction;
  /** The files that the rewards were read from, and a hash of what they do. */
  provenance(): { files: readonly string[]; hash: string };
}

export interface ToolsOptions {
  settings: readonly RewardSettings[];
  runtime: RuntimeSettings;
  onOutput?: ((text: string) => void) | undefined;
}

export function openTools({ settings, runtime, onOutput }: ToolsOptions): GraderTools {
  const every = flatten(settings);
  const paths = [...new Set(every.flatMap((entry) => (entry.kind === 'module' ? [entry.path] : [])))];
  const environments = new Map<string, ReturnType<typeof openEnvironment>>();
  let opening: ReturnType<typeof openUserCode> | null = null;
  let code: UserCode | null = null;
  let files: readonly string[] = paths;
  const places = () => (opening ??= openUserCode({ entry: workerUrl('grader.worker', import.meta.url), paths, runtime, onOutput }));

  return {
    runtime,
    onOutput,
    limit: pLimit(runtime.concurrency),
    async inWorker(method, params, signal) {
      const opened = await places();
      if (!opened.ok) {
        files = opened.files;
        opening = null;
        return opened;
      }
      code = opened.code;
      files = code.files;
      const outcome = await code.pool.call(method, params, { timeoutMs: runtime.scoreTimeoutMs, signal });
      return outcome as Outcome<never>;
    },
    async environmentOf(source) {
      let environment = environments.get(source);
      if (!environment) environments.set(source, (environment = openEnvironment({ source, runtime, onOutput })));
      const opened = await environment;
      if (opened.ok) return { ok: true, value: opened.environment };
      // A slow start may succeed the next time; only this rollout pays for it.
      environments.delete(source);
      return opened;
    },
    provenance() {
      const programs = every.flatMap((entry) => (entry.kind === 'command' ? programFiles(entry.command, entry.cwd) : []));
      if (every.some(({ kind }) => kind === 'task')) programs.push(...programFiles(runtime.command, runtime.cwd));
      const hash = createHash('sha256').update(JSON.stringify(settings, (key, value: unknown) => (key === 'path' || key === 'cwd' ? undefined : value)));
      hash.update(code?.hash ?? '');
      for (const file of programs) hash.update(readFileSync(file)).update('\0');
      return { files: [...new Set([...files, ...programs])], hash: hash.digest('hex') };
    },
    async [Symbol.asyncDispose]() {
      const opened = await Promise.all([...environments.values()]);
      await Promise.all(opened.map(async (environment) => environment.ok && environment.environment[Symbol.asyncDispose]()));
      const places = await opening;
      if (places?.ok) await places.code[Symbol.asyncDispose]();
    },
  };
}

const flatten = (settings: readonly RewardSettings[]): RewardSettings[] =>
  settings.flatMap((entry) => [entry, ...(entry.kind === 'any' || entry.kind === 'all' ? flatten(entry.rewards) : [])]);

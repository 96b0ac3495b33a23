import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { RuntimeSettings } from '../config/types.ts';
import type { ChatMessage, Task } from '../tasks/types.ts';
import { type Call, Pool } from './pool.ts';
import { programFiles } from './processes.ts';
import { type Failure, failure, type Outcome } from './types.ts';
import { openUserCode } from './user-code.ts';
import { readVerdict, type Verdict } from './verdict.ts';
import { userEnvironment } from '../util/user-environment.ts';
import { workerUrl } from '../util/worker-url.ts';

/** Which task of an environment is meant: a template's name and what it is called with. */
export type TemplateCall = Pick<Task, 'args'> & { readonly template: string };

/**
 * What makes prompts and judges answers by itself: the two-yield templates of a module, or a program that speaks JSON lines.
 * Every judgement begins with a fresh `setup`, so it needs no memory of the rollout: a stored one can be judged again.
 */
export interface Environment extends AsyncDisposable {
  setup(task: TemplateCall, signal?: AbortSignal): Promise<Outcome<Task['prompt']>>;
  grade(task: TemplateCall & Pick<Task, 'prompt'>, completion: string, signal?: AbortSignal): Promise<Verdict>;
  readonly files: readonly string[];
  readonly hash: string;
}

export interface EnvironmentOptions {
  /** The absolute path of a module that exports `templates`; `runtime` is the program of `runtime.command`. */
  source: string;
  runtime: RuntimeSettings;
  onOutput?: ((text: string) => void) | undefined;
  signal?: AbortSignal | undefined;
}

/** The `source` of templates that the program of `runtime.command` serves. */
export const PROGRAM = 'runtime';

export type OpenedEnvironment = { ok: true; environment: Environment } | { ok: false; failure: Failure; files: readonly string[] };

export async function openEnvironment(options: EnvironmentOptions): Promise<OpenedEnvironment> {
  const { source, runtime, onOutput } = options;
  if (source === PROGRAM) {
    const { command, cwd, env, memoryMb, concurrency, setupTimeoutMs } = runtime;
    if (runtime.kind !== 'subprocess' || command.length === 0) {
      return { ok: false, files: [], failure: { type: 'exception', message: 'there is no program to ask: write runtime: { kind: subprocess, command: [...] }' } };
    }
    const { childPlace } = await import('./child-place.ts');
    const open = childPlace({ command, cwd, env: userEnvironment(env), replies: 'stdout', memoryMb, ...(onOutput ? { onOutput } : {}) });
    const files = programFiles(command, cwd);
    const hash = files.reduce((sum, file) => sum.update(readFileSync(file)).update('\0'), createHash('sha256')).digest('hex');
    return { ok: true, environment: environmentOver(new Pool({ open, size: concurrency, setupTimeoutMs }), options, { files, hash }) };
  }
  const opened = await openUserCode({ ...options, entry: workerUrl('environment.worker', import.meta.url), paths: [source] });
  if (!opened.ok) return opened;
  return { ok: true, environment: environmentOver(opened.code.pool, options, opened.code) };
}

function environmentOver(pool: Pool, { source, runtime }: EnvironmentOptions, { files, hash }: Pick<Environment, 'files' | 'hash'>): Environment {
  const setup = async (call: Call, { template, args }: TemplateCall, signal?: AbortSignal): Promise<Outcome<Task['prompt']>> => {
    const params = { template, args, ...(source === PROGRAM ? {} : { source }) };
    const outcome = await call('setup', params, { timeoutMs: runtime.setupTimeoutMs, signal });
    if (!outcome.ok) return failure(outcome.failure.type, `setup of ${template}: ${outcome.failure.message}`);
    const prompt = isRecord(outcome.value) && 'prompt' in outcome.value ? outcome.value['prompt'] : outcome.value;
    return isPrompt(prompt) ? { ok: true, value: prompt } : failure('protocol', `setup of ${template}: expected a prompt (a text, or messages with role and content)`);
  };
  return {
    files,
    hash,
    setup: (task, signal) => pool.use((call) => setup(call, task, signal), signal),
    grade: (task, completion, signal) =>
      pool.use(async (call): Promise<Verdict> => {
        const since = performance.now();
        const prompt = await setup(call, task, signal);
        if (!prompt.ok) return prompt;
        if (JSON.stringify(prompt.value) !== JSON.stringify(task.prompt)) {
          return failure('exception', `setup of ${task.template} gave another prompt than before for the same arguments; let everything it does follow from them`);
        }
        const left = runtime.rolloutTimeoutMs - (performance.now() - since);
        const timeoutMs = Math.max(1, Math.min(runtime.scoreTimeoutMs, Math.round(left)));
        const outcome = await call('grade', { completion }, { timeoutMs, signal });
        return outcome.ok ? readVerdict(outcome.value) : outcome;
      }, signal),
    [Symbol.asyncDispose]: () => pool[Symbol.asyncDispose](),
  };
}

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

const ROLES: readonly unknown[] = ['system', 'user', 'assistant', 'tool'] satisfies ChatMessage['role'][];

/** A text, or a conversation of at least one message. */
export function isPrompt(value: unknown): value is Task['prompt'] {
  if (typeof value === 'string') return true;
  return Array.isArray(value) && value.length > 0 && value.every((message) => isRecord(message) && ROLES.includes(message['role']) && typeof message['content'] === 'string');
}

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import pLimit from 'p-limit';
import type { GymHome } from '../../config/types.ts';
import { failure, isProgram, type Outcome, programFiles, seconds } from '../../runtimes/index.ts';
import { type Program, startProgram } from '../hosts/program.ts';
import { queued } from '../hosts/queued.ts';
import { userEnvironment } from '../../util/user-environment.ts';
import type { OpenedEnvironment, OpenEnvironmentOptions } from '../types.ts';
import { GymEnvironment, type GymParts } from './environment.ts';
import { actionField } from './fields.ts';
import { ask, httpSession } from './http.ts';
import { openSocket } from './socket-session.ts';
import type { Gym, GymSession } from './types.ts';

/** Between two looks whether a server listens, or has a session free. */
const PAUSE_MS = 200;

/** A server that listens already, or that a command starts. */
export async function openGym(home: GymHome, { runtime: { command, cwd, env, memoryMb, ...limits }, onOutput, signal }: OpenEnvironmentOptions): Promise<OpenedEnvironment> {
  const runtime: Gym = { env, ...limits, ...home };
  const url = home.url.replace(/\/+$/, '');
  const files = programFiles(command, cwd);
  const refuse = (type: 'exit' | 'timeout' | 'exception', message: string): OpenedEnvironment => ({ ok: false, files, failure: { type, message } });
  if (command.length > 0 && !isProgram(command[0]!, cwd)) return refuse('exit', `the environment could not be started: there is no program ${command[0]}`);
  await using giveUp = new AsyncDisposableStack();
  const program = command.length > 0 ? startProgram({ command, cwd, env: userEnvironment(env), memoryMb, onOutput }) : null;
  if (program) giveUp.defer(() => program.end({ type: 'exit', message: 'was closed' }));
  const schema = await schemaOf(url, { runtime, program }, signal);
  if (!schema.ok) return { ...schema, files };
  const action = actionField(schema.value, runtime.actionField);
  if (action === null) return refuse('exception', `an action of the environment at ${url} has more than one field that could hold the answer, or none; name it: runtime: { action_field: message }`);
  const openSession = (await hasSockets(url, runtime, signal)) ? socketSessions(url, runtime) : httpSessions(url);
  const kept = giveUp.move();
  const hash = createHash('sha256').update(JSON.stringify([schema.value, action, runtime.promptField, runtime.observationField]));
  for (const file of files) hash.update(readFileSync(file)).update('\0');
  return { ok: true, environment: new GymEnvironment({ runtime, action, openSession, files, hash: hash.digest('hex'), dispose: () => kept.disposeAsync() }) };
}

/** Waits until the server answers. One that tells no schema has no more to say about its actions than its documents do. */
async function schemaOf(url: string, { runtime, program }: { runtime: Gym; program: Program | null }, signal?: AbortSignal): Promise<Outcome<unknown>> {
  const { setupTimeoutMs, startTimeoutMs } = runtime;
  const until = performance.now() + startTimeoutMs;
  for (;;) {
    const asked = await ask(`${url}/schema`, undefined, { timeoutMs: setupTimeoutMs, signal });
    if (asked.ok) return { ok: true, value: asked.value.status === 200 ? (asked.value.body as { action?: unknown } | null)?.action : undefined };
    if (program?.gone) return { ok: false, failure: program.gone };
    if (program === null) return asked;
    if (performance.now() > until) return failure('timeout', `the environment did not listen at ${url} within ${seconds(startTimeoutMs)}`);
    await delay(PAUSE_MS, undefined, { signal });
  }
}

/** As many sessions as `runtime.concurrency` and the server allow. */
function socketSessions(url: string, { concurrency, setupTimeoutMs, startTimeoutMs }: Gym): GymParts['openSession'] {
  const limit = pLimit(concurrency);
  /** Null: the server has no session free. */
  const open = async (signal?: AbortSignal): Promise<Outcome<GymSession | null>> => {
    const opened = await openSocket(url, { timeoutMs: setupTimeoutMs, signal });
    if (opened.ok) return { ok: true, value: opened.session };
    if (!opened.full) return failure('exit', `no session at ${url}: ${opened.message}`);
    limit.concurrency = Math.max(1, Math.min(limit.concurrency, opened.most));
    return { ok: true, value: null };
  };
  return async (signal) => {
    const until = performance.now() + startTimeoutMs;
    for (;;) {
      const session = await queued(limit, signal, () => open(signal));
      if (!session.ok || session.value !== null) return session as Outcome<GymSession>;
      if (performance.now() > until) return failure('exit', `${url} has no session free`);
      await delay(PAUSE_MS, undefined, { signal });
    }
  };
}

/** Plain HTTP knows no sessions: whoever resets the one environment has it to himself. */
function httpSessions(url: string): GymParts['openSession'] {
  const limit = pLimit(1);
  return (signal) => queued(limit, signal, async () => ({ ok: true, value: httpSession(url) }));
}

async function hasSockets(url: string, { setupTimeoutMs }: Gym, signal?: AbortSignal): Promise<boolean> {
  const opened = await openSocket(url, { timeoutMs: setupTimeoutMs, signal });
  if (opened.ok) await opened.session[Symbol.asyncDispose]();
  return opened.ok || opened.full;
}

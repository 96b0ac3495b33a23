/** @file Requests to a Gym-like server, and a session over them: such a server has one environment, which whoever resets it has to himself. */
import { failure, type Outcome, seconds } from '../../runtimes/index.ts';
import { refusalOf } from './socket-session.ts';
import type { GymLimits, GymSession, Observed } from './types.ts';

export async function ask(url: string, body: unknown, { timeoutMs, signal }: GymLimits): Promise<Outcome<{ status: number; body: unknown }>> {
  const late = AbortSignal.timeout(timeoutMs);
  try {
    const init: RequestInit = body === undefined ? {} : { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
    const answer = await fetch(url, { ...init, signal: signal ? AbortSignal.any([late, signal]) : late });
    const text = await answer.text();
    try {
      return { ok: true, value: { status: answer.status, body: JSON.parse(text) as unknown } };
    } catch {
      return { ok: true, value: { status: answer.status, body: text } };
    }
  } catch (error) {
    signal?.throwIfAborted();
    if (late.aborted) return failure('timeout', `${url} gave no answer within ${seconds(timeoutMs)}`);
    const { cause } = error as Error & { cause?: Error & { code?: string } };
    return failure('exit', cause?.code === 'ECONNREFUSED' ? `nothing listens at ${url}` : `${url} cannot be asked: ${cause?.message ?? (error as Error).message}`);
  }
}

export function httpSession(url: string): GymSession {
  const observed = (path: string, { status, body }: { status: number; body: unknown }): Outcome<Observed> => {
    const given = (body ?? {}) as Partial<Observed>;
    if (status !== 200) return failure('exception', `the environment answered ${path} with ${status}: ${(typeof body === 'string' ? body : JSON.stringify(body)).slice(0, 400)}`);
    if (typeof given !== 'object' || !('observation' in given)) return failure('protocol', `the environment answered ${path} without an observation`);
    return { ok: true, value: { observation: given.observation, reward: given.reward ?? null, done: given.done === true } };
  };
  return {
    async reset(args, limits) {
      const answer = await ask(`${url}/reset`, args, limits);
      return answer.ok ? observed('reset', answer.value) : answer;
    },
    async step(action, limits) {
      const answer = await ask(`${url}/step`, { action }, limits);
      if (!answer.ok) return answer;
      if (answer.value.status === 422) return { ok: true, value: { refused: refusalOf((answer.value.body as { detail?: unknown } | null)?.detail) } };
      return observed('step', answer.value);
    },
    [Symbol.asyncDispose]: async () => {},
  };
}

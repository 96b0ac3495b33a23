/**
 * Synchronous work with a limit. A regular expression that explodes holds its thread, and every signal with it, for ever: no timer and no promise
 * can end it, only the engine itself.
 */
import { type Context, Script, createContext } from 'node:vm';

let room: Context | null = null;
const script = new Script('work()');

/** What `work` returns, or why it was stopped. What it throws passes through. Costs a tenth of a millisecond; not to be nested. */
export function within<T>(limitMs: number, work: () => T): { ok: true; value: T } | { ok: false } {
  room ??= createContext({});
  room['work'] = work;
  try {
    return { ok: true, value: script.runInContext(room, { timeout: limitMs }) as T };
  } catch (error) {
    if ((error as NodeJS.ErrnoException | null)?.code === 'ERR_SCRIPT_EXECUTION_TIMEOUT') return { ok: false };
    throw error;
  } finally {
    delete room['work'];
  }
}

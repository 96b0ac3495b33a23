/**
 * @file How a conversation becomes ids and back. The ids are the record: what is said later is appended to them, and nothing is ever decoded
 * and encoded again, so that what is trained is what was sampled.
 */
import type { Answer } from '../environments/types.ts';
import type { Message } from '../events.ts';
import type { Task } from '../tasks/types.ts';
import type { Prepared } from './agent.ts';

/** An answer taken apart; `malformed` says in one sentence what is wrong with a call that cannot be read. */
export type ReadAnswer = Answer & { malformed?: string };

/** Ids to append, which nobody drew; or why there are none, in words. */
export type Composed = { ok: true; ids: number[] } | { ok: false; message: string };

/** Of one conversation: what is appended later may depend on how it was opened. */
export interface Composer {
  /** The prompt of a task, tools told. */
  open(task: Pick<Task, 'id' | 'prompt'>): Prepared;
  read(outputTokenIds: readonly number[]): ReadAnswer;
  /** What follows `tokenIds`, which end with what the model drew: the close of its answer, `messages`, and whatever opens the next one. */
  append(tokenIds: readonly number[], messages: readonly Message[]): Composed;
}

import type { AgentSettings } from '../config/types.ts';
import type { Answer, Tool } from '../environments/types.ts';
import type { Message, RolloutError } from '../events.ts';
import type { Tokenizer } from '../policy/types.ts';
import type { Task } from '../tasks/types.ts';

/** A task as the model gets it: text for people and graders, ids for the model. */
export type Prepared =
  | { ok: true; prompt: string; tokenIds: number[] }
  /** `promptTokens` of a prompt that is too long. */
  | { ok: false; error: RolloutError; promptTokens?: number };

/** How the model acts on a task: which ids it is given, and what its output means as text. Holds no state between rollouts. */
export interface Agent {
  prepare(task: Task): Prepared;
  /** The completion: output ids as text, without the stop token, ending before the first stop string. */
  decode(outputTokenIds: readonly number[]): string;
  /** Any of these ends an answer: the tokenizer's own, and those that `agent.stop` names by their text. */
  readonly stopTokenIds: readonly number[];
  /** And any of these, once the answer's text contains it. */
  readonly stopStrings: readonly string[];
  /** For conversations in which these tools may be called. */
  composer(tools: readonly Tool[]): Composer;
  /** Tokens that a conversation may have. */
  readonly contextLength: number;
  /** What a demonstration ends with: the model is to learn where an answer is over. */
  readonly answerEnd: readonly number[];
}

export interface AgentOptions {
  settings: AgentSettings;
  tokenizer: Tokenizer;
  /** Tokens that prompt and completion may have together. */
  contextLength: number;
}

/** An answer taken apart; `malformed` says in one sentence what is wrong with a call that cannot be read. */
export type ReadAnswer = Answer & { malformed?: string };

/** Ids to append, which nobody drew; or why there are none, in words. */
export type Composed = { ok: true; ids: number[] } | { ok: false; message: string };

/**
 * How a conversation becomes ids and back: what is appended later may depend on how it was opened. The ids are the record: what is said later is
 * appended to them, and nothing is ever decoded and encoded again, so that what is trained is what was sampled.
 */
export interface Composer {
  /** The prompt of a task, tools told. */
  open(task: Pick<Task, 'id' | 'prompt'>): Prepared;
  read(outputTokenIds: readonly number[]): ReadAnswer;
  /** What follows `tokenIds`, which end with what the model drew: the close of its answer, `messages`, and whatever opens the next one. */
  append(tokenIds: readonly number[], messages: readonly Message[]): Composed;
}

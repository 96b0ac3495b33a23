import type { RolloutError } from '../events.ts';

/** Why a call into user code has no result. The caller knows which grader, template or task it was for. */
export interface Failure {
  type: RolloutError['type'];
  message: string;
  /** Of a module that could not be loaded: where. */
  at?: CodePlace;
}

/** A place in a file of the user; lines and columns begin with 1. */
export interface CodePlace {
  file: string;
  line: number;
  column: number;
}

export type Outcome<T = unknown> = { ok: true; value: T } | { ok: false; failure: Failure };

export const failure = (type: Failure['type'], message: string): { ok: false; failure: Failure } => ({ ok: false, failure: { type, message } });

/** What travels to a place: plain JSON. Calls are answered one at a time, in their order. */
export interface CallMessage {
  id: number;
  method: string;
  params: unknown;
}

/**
 * What comes back. An error with `broken` says that the place may no longer be trusted and wants to be replaced; with id 0 it
 * belongs to a call that was answered before.
 */
export type ReplyMessage = { id: number; result: unknown } | { id: number; error: { message: string; type?: Failure['type'] }; broken?: true };

export interface PlaceHandlers {
  onReply(message: unknown): void;
  /** The place is gone, whatever the reason; called once. */
  onEnd(failure: Failure): void;
}

/** One running place for code that is not ours: a worker thread, a child process, later a container or a socket. */
export interface Place {
  send(messages: readonly CallMessage[]): void;
  /** Ends it however busy it is; resolves when it is gone. */
  kill(): Promise<void>;
}

/** Starts a place. What a runtime is, apart from its settings: docker and tcp are two more of these. */
export type OpenPlace = (handlers: PlaceHandlers) => Place;

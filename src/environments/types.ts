/** What answers an agent: tools that it may call, and an environment that replies to what it says, up to a verdict. */
import type { RuntimeSettings } from '../config/types.ts';
import type { Message, ToolCall } from '../events.ts';
import type { Failure, Outcome, Verdict } from '../runtimes/index.ts';
import type { Task } from '../tasks/types.ts';

/** A tool as the chat template is told of it. `parameters` is a JSON Schema of an object. */
export interface Tool {
  name: string;
  description: string;
  parameters: Record<string, unknown>;
}

/** A call costs what it costs: whatever goes wrong is a text for the model to read. */
export interface ToolResult {
  text: string;
  failure?: NonNullable<Message['failure']>;
}

/** What the model said in one turn, taken apart. */
export interface Answer {
  /** Without calls and reasoning. */
  content: string;
  reasoning?: string;
  toolCalls: readonly ToolCall[];
}

/** What an environment says to an answer: messages for the next turn, or that it is over. `reward` is for this step alone. */
export type Reply =
  | { done: false; messages: Message[]; reward?: number | undefined }
  /** Without a verdict, whoever grades the rollout has to find one. */
  | { done: true; verdict: Verdict | null };

/** Tools at the service of one rollout. */
export interface ToolSession extends AsyncDisposable {
  readonly tools: readonly Tool[];
  /** Never rejects but for the signal. */
  call(call: ToolCall, signal: AbortSignal): Promise<ToolResult>;
}

/** Where tools come from: opened once a job, and for each rollout anew. */
export interface Toolbox extends AsyncDisposable {
  open(signal: AbortSignal): Promise<Outcome<ToolSession>>;
  /** Files that were read, for the watcher, and a hash of what they do. */
  readonly files: readonly string[];
  readonly hash: string;
}

/** A task under way for one rollout, after its prompt. */
export interface Episode extends AsyncDisposable {
  /** Tools that the environment brings and runs itself; their calls go to `call`. */
  readonly tools: ToolSession | null;
  /** Tools whose calls are handed over with the answer: the reply holds their results. */
  readonly ownTools: readonly Tool[];
  reply(answer: Answer, signal: AbortSignal): Promise<Outcome<Reply>>;
  /** There are no more turns: what is the conversation worth as it stands? Null: nobody says so. */
  conclude(answer: Answer, signal: AbortSignal): Promise<Outcome<Verdict | null>>;
}

/** A task with the template that makes and judges it. */
export type TemplateTask = Pick<Task, 'args' | 'prompt'> & { readonly template: string };

/**
 * What makes prompts, replies to answers and judges them. All of it follows from a task's arguments and the answers so far, so that a stored
 * rollout can be judged again; an environment for which that does not hold refuses to (`grade`).
 */
export interface Environment extends AsyncDisposable {
  setup(task: Omit<TemplateTask, 'prompt'>, signal?: AbortSignal): Promise<Outcome<Task['prompt']>>;
  /** Plays the answers of a rollout once more, from a fresh setup, up to the verdict. */
  grade(task: TemplateTask, answers: readonly Answer[], signal?: AbortSignal): Promise<Verdict>;
  /** Begins the task for one rollout. */
  begin(task: TemplateTask, signal: AbortSignal): Promise<Outcome<Episode>>;
  readonly files: readonly string[];
  readonly hash: string;
}

export interface OpenEnvironmentOptions {
  /** The absolute path of a module that exports `templates`; `runtime` is whatever `runtime:` names. */
  source: string;
  runtime: RuntimeSettings;
  onOutput?: ((text: string) => void) | undefined;
  signal?: AbortSignal | undefined;
}

export type OpenedEnvironment = { ok: true; environment: Environment } | { ok: false; failure: Failure; files: readonly string[] };

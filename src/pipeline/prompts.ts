/** Whether the prompts of a taskset fit the model: known as soon as the tokenizer is there, and not only when a rollout is lost by it. */
import { type Agent, createAgent, leavesAnswerUnopened } from '../agents/index.ts';
import type { AgentSettings } from '../config/types.ts';
import type { Tokenizer } from '../policy/types.ts';
import type { Task } from '../tasks/types.ts';
import type { LoadError } from '../util/load-error.ts';

/** So many say enough of a large taskset. */
const LOOKED_AT = 256;
const LETTERS_SHOWN = 8;

export interface PromptRoom {
  settings: AgentSettings;
  contextLength: number;
  /** As in "no train prompt". */
  split: 'train' | 'eval';
}

/** A prompt that leaves no room for an answer. */
interface TooLong {
  task: Task;
  tokens: number;
}

/** Why no task can be put to the model, or null if one can: most tasksets need a look at one task. */
export function refusePrompts(tasks: readonly Task[], { tokenizer, ...room }: PromptRoom & { tokenizer: Tokenizer }): Pick<LoadError, 'message' | 'fix' | 'key'> | null {
  const { settings, contextLength, split } = room;
  const agent = createAgent({ settings, tokenizer, contextLength });
  const looked = spread(tasks);
  const tooLong: TooLong[] = [];
  let unsuited: string | null = null;
  for (const task of looked) {
    const prepared = agent.prepare(task);
    if (prepared.ok) return null;
    if (prepared.promptTokens === undefined) unsuited ??= prepared.error.message;
    else tooLong.push({ task, tokens: prepared.promptTokens });
  }
  if (unsuited !== null) return { message: `no ${split} task can be put to the model; the first that cannot: ${unsuited}`, fix: 'Change the agent, or the tasks.', key: 'agent' };
  const shortest = tooLong.reduce<TooLong | null>((least, each) => (least && least.tokens <= each.tokens ? least : each), null);
  if (!shortest) return null;
  const tried = looked.length < tasks.length ? ` (${looked.length} of ${tasks.length} were tried)` : '';
  const free = contextLength - shortest.tokens;
  return {
    message: `no ${split} prompt fits the model's context${tried}: the shortest, of ${inNumbers(shortest, room)}`,
    fix: `${free > 0 ? `Lower agent.max_tokens to ${free} or less, shorten` : 'Shorten'} the prompts, or fork a model with a longer context.`,
    key: free > 0 ? 'agent.max_tokens' : 'taskset',
  };
}

/** What to say when some of the prompts are too long, or null. */
export function warnOfPrompts(tasks: readonly Task[], { agent, ...room }: PromptRoom & { agent: Agent }): { message: string; fix: string } | null {
  const looked = spread(tasks);
  const tooLong = looked.flatMap((task): TooLong[] => {
    const prepared = agent.prepare(task);
    return prepared.ok || prepared.promptTokens === undefined ? [] : [{ task, tokens: prepared.promptTokens }];
  });
  if (tooLong.length === 0) return null;
  const longest = tooLong.reduce((most, each) => (each.tokens > most.tokens ? each : most));
  const free = room.contextLength - longest.tokens;
  const tried = looked.length < tasks.length ? ` (as many as were tried of ${tasks.length})` : '';
  return {
    message: `${tooLong.length} of ${looked.length} ${room.split} prompts${tried} do not fit the model's context: the longest, of ${inNumbers(longest, room)}`,
    fix: `${free > 0 ? `lower agent.max_tokens to ${free}, or ` : ''}shorten such prompts or leave them out: nothing is ${room.split === 'train' ? 'learnt from' : 'measured on'} them`,
  };
}

/** What to say when some of the tasks cannot be put to the model at all, or null. */
function warnOfUnsuited(tasks: readonly Task[], { agent, split }: Pick<PromptRoom, 'split'> & { agent: Agent }): { message: string; fix: string } | null {
  const looked = spread(tasks);
  const faults = looked.flatMap((task) => {
    const prepared = agent.prepare(task);
    return prepared.ok || prepared.promptTokens !== undefined ? [] : [prepared.error.message];
  });
  if (faults.length === 0) return null;
  return { message: `${faults.length} of ${looked.length} ${split} tasks cannot be put to the model; the first: ${faults[0]}`, fix: 'mend such tasks or leave them out: their rollouts fail' };
}

/** What to say when a task has letters that the tokenizer does not have: the model reads one mark for all of them, and cannot write them at all. */
export function warnOfUnknownText(tasks: readonly Task[], { agent, tokenizer }: { agent: Agent; tokenizer: Tokenizer }): { message: string; fix: string } | null {
  const { unknownTokenId } = tokenizer;
  if (unknownTokenId === null) return null;
  const looked = spread(tasks);
  const isUnknown = (text: string) => tokenizer.encode(text, { addSpecialTokens: false }).includes(unknownTokenId);
  const texts = looked.flatMap((task) => {
    const prepared = agent.prepare(task);
    const prompts = prepared.ok && prepared.tokenIds.includes(unknownTokenId) ? [prepared.prompt] : [];
    return [...prompts, ...(task.answer !== null && isUnknown(task.answer) ? [task.answer] : [])].join('\n') || [];
  });
  if (texts.length === 0) return null;
  const letters = [...new Set(texts.join(''))].filter((letter) => letter !== '\n' && isUnknown(letter)).slice(0, LETTERS_SHOWN);
  return {
    message: `the model's tokenizer does not know the text of ${texts.length} of ${looked.length} tasks${letters.length > 0 ? `, for example ${letters.join(' ')}` : ''}: the model cannot tell apart what it reads there, nor write it`,
    fix: 'write the tasks in letters that it knows, or fork another model',
  };
}

/** What to say when gold answers do not fit: the model could not give them, and a supervised step leaves them out. `end` is what must fit behind them. */
export function warnOfAnswers(tasks: readonly Task[], { settings, tokenizer, end }: { settings: AgentSettings; tokenizer: Tokenizer; end: number }): { message: string; fix: string } | null {
  const looked = spread(tasks).filter(({ answer }) => answer !== null);
  const tooLong = looked.flatMap((task): TooLong[] => {
    const tokens = tokenizer.encode(task.answer!, { addSpecialTokens: false }).length + end;
    return tokens > settings.maxTokens ? [{ task, tokens }] : [];
  });
  if (tooLong.length === 0) return null;
  const longest = tooLong.reduce((most, each) => (each.tokens > most.tokens ? each : most));
  return {
    message: `${tooLong.length} of ${looked.length} answers are longer than agent.max_tokens, which is ${settings.maxTokens}: the longest, of task ${longest.task.id}, has ${longest.tokens} tokens${end > 0 ? ' with its end' : ''}`,
    fix: `raise agent.max_tokens to ${longest.tokens}, or shorten such answers`,
  };
}

/** What to say when a template does not open the assistant's turn: the model would have to do so itself, and may as well speak for the user. */
export function warnOfTemplate({ settings, tokenizer }: { settings: AgentSettings; tokenizer: Tokenizer }): { message: string; fix: string } | null {
  if (settings.kind !== 'chat' || !leavesAnswerUnopened(tokenizer, settings.templateArgs)) return null;
  return {
    message: "the model's chat template ignores add_generation_prompt: prompts end behind the user's message, and nothing tells the model that it is its turn",
    fix: 'repair the template (chat_template in tokenizer_config.json), so that it opens the assistant\'s message where add_generation_prompt is set',
  };
}

/** Tokens that are left for answers behind the longest prompt; below 1 where it does not even fit itself. */
export function roomForAnswers(tasks: readonly Task[], { settings, tokenizer, contextLength }: Omit<PromptRoom, 'split'> & { tokenizer: Tokenizer }): number {
  const agent = createAgent({ settings, tokenizer, contextLength });
  const lengths = spread(tasks).map((task) => {
    const prepared = agent.prepare(task);
    return prepared.ok ? prepared.tokenIds.length : (prepared.promptTokens ?? 0);
  });
  return contextLength - lengths.reduce((most, length) => Math.max(most, length), 0);
}

export interface PromptWarning {
  code: 'context_overflow' | 'unsuited_tasks' | 'unknown_text' | 'long_answers' | 'generation_prompt';
  message: string;
  fix: string;
}

/** All that can be said of tasks and the model's tokenizer before the model answers: what `run` says when it begins, and `check` without a run. */
export function promptWarnings(tasks: readonly Task[], { agent, tokenizer, teaches, ...room }: PromptRoom & { agent: Agent; tokenizer: Tokenizer; teaches: boolean }): PromptWarning[] {
  const { settings, split } = room;
  const found: { [C in PromptWarning['code']]: { message: string; fix: string } | null } = {
    context_overflow: warnOfPrompts(tasks, { agent, ...room }),
    unsuited_tasks: warnOfUnsuited(tasks, { agent, split }),
    generation_prompt: warnOfTemplate({ settings, tokenizer }),
    // Of the held-out tasks they would say the same.
    unknown_text: split === 'train' ? warnOfUnknownText(tasks, { agent, tokenizer }) : null,
    long_answers: split === 'train' ? warnOfAnswers(tasks, { settings, tokenizer, end: teaches ? agent.answerEnd.length : 0 }) : null,
  };
  return (Object.entries(found) as [PromptWarning['code'], { message: string; fix: string } | null][]).flatMap(([code, warning]) => (warning ? [{ code, ...warning }] : []));
}

const inNumbers = ({ task, tokens }: TooLong, { settings, contextLength }: PromptRoom): string =>
  `task ${task.id}, has ${tokens} tokens, agent.max_tokens allows ${settings.maxTokens} more, and the context holds ${contextLength}`;

/** All of them, or as many as are looked at, evenly spread. */
function spread(tasks: readonly Task[]): readonly Task[] {
  if (tasks.length <= LOOKED_AT) return tasks;
  return Array.from({ length: LOOKED_AT }, (_, index) => tasks[Math.floor((index * tasks.length) / LOOKED_AT)]!);
}

/** Whether the prompts of a taskset fit the model: known as soon as the tokenizer is there, and not only when a rollout is lost by it. */
import { type Agent, createAgent } from '../agents/index.ts';
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

/** What to say when the gold answer of a task has more tokens than an answer may have: nobody can give it. */
export function warnOfLongAnswers(tasks: readonly Task[], { settings, tokenizer, split }: Pick<PromptRoom, 'settings' | 'split'> & { tokenizer: Tokenizer }): { message: string; fix: string } | null {
  const looked = spread(tasks);
  const lengths = looked.flatMap(({ answer }) => (answer === null ? [] : tokenizer.encode(answer, { addSpecialTokens: false }).length));
  const long = lengths.filter((length) => length > settings.maxTokens);
  if (long.length === 0) return null;
  const longest = Math.max(...long);
  return {
    message: `the answers of ${long.length} of ${looked.length} ${split} tasks are longer than agent.max_tokens allows: the longest has ${longest} tokens, and answers end after ${settings.maxTokens}`,
    fix: `raise agent.max_tokens to ${longest} or more, or leave such tasks out`,
  };
}

const inNumbers = ({ task, tokens }: TooLong, { settings, contextLength }: PromptRoom): string =>
  `task ${task.id}, has ${tokens} tokens, agent.max_tokens allows ${settings.maxTokens} more, and the context holds ${contextLength}`;

/** All of them, or as many as are looked at, evenly spread. */
function spread(tasks: readonly Task[]): readonly Task[] {
  if (tasks.length <= LOOKED_AT) return tasks;
  return Array.from({ length: LOOKED_AT }, (_, index) => tasks[Math.floor((index * tasks.length) / LOOKED_AT)]!);
}

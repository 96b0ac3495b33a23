import type { AgentSettings } from '../config/types.ts';
import type { RolloutError } from '../events.ts';
import type { Tokenizer } from '../policy/types.ts';
import type { ChatMessage, Task } from '../tasks/types.ts';
import { chatComposers } from './chat-composer.ts';
import { completionComposer } from './completion-composer.ts';
import { begunOnce } from './beginning.ts';
import type { Agent, AgentOptions, Prepared } from './types.ts';
import { upToStop } from './up-to-stop.ts';

interface Prompt {
  text: string;
  ids: number[];
}

/** Why a task cannot be put to the model this way, in one sentence. */
class Unsuited extends Error {}

/** Turning a task into ids, by `agent.kind`. */
const promptRules: { [K in AgentSettings['kind']]: (task: Task, options: AgentOptions) => Prompt } = { completion: completionPrompt, chat: chatPrompt };

export function createAgent(options: AgentOptions): Agent {
  const { settings, tokenizer } = options;
  const special = specialTokens(settings.stop, tokenizer);
  const stopTokens = new Set([...tokenizer.endTokenIds, ...special.values()]);
  const stopStrings = settings.stop.filter((text) => !special.has(text));
  const agent: Agent = {
    stopTokenIds: [...stopTokens],
    stopStrings,
    contextLength: options.contextLength,
    composer: (tools) => composers(tools),
    answerEnd: tokenizer.answerEnds[settings.kind],
    prepare(task) {
      try {
        const { text, ids } = promptRules[settings.kind](task, options);
        return refusal(task, ids.length, options) ?? { ok: true, prompt: text, tokenIds: ids };
      } catch (error) {
        if (!(error instanceof Unsuited)) throw error;
        return { ok: false, error: { phase: 'setup', type: 'exception', message: `task ${task.id}: ${error.message}` } };
      }
    },
    decode(outputTokenIds) {
      const ended = stopTokens.has(outputTokenIds.at(-1) ?? -1);
      return upToStop(tokenizer.decode(ended ? outputTokenIds.slice(0, -1) : outputTokenIds), stopStrings);
    },
  };
  const composers = settings.kind === 'completion' ? () => completionComposer(agent, tokenizer) : chatComposers({
    ...options, agent,
    messagesOf: (task) => messagesOf(task, settings),
    fits: (task, promptTokens) => refusal(task, promptTokens, options),
  });
  return agent;
}

/** The same agent, which prepares a task when it is first asked to and remembers it. */
export function preparingOnce(agent: Agent): Agent {
  const known = new Map<Task, Prepared>();
  return {
    ...agent,
    prepare(task) {
      const prepared = known.get(task) ?? agent.prepare(task);
      known.set(task, prepared);
      return prepared;
    },
  };
}

/** Texts such as `<|im_end|>`, of which decoded text has no trace: what ends an answer then is the token. */
const specialTokens = (texts: readonly string[], tokenizer: Tokenizer): ReadonlyMap<string, number> =>
  new Map(texts.flatMap((text) => {
    const [id, ...others] = tokenizer.encode(text, { addSpecialTokens: false });
    return id !== undefined && others.length === 0 && tokenizer.decode([id]) === '' ? [[text, id] as const] : [];
  }));

/** The prompt is the text, after `agent.system` if there is one. */
function completionPrompt(task: Task, { settings, tokenizer }: AgentOptions): Prompt {
  if (typeof task.prompt !== 'string') throw new Unsuited('its prompt is a list of messages, which a completion agent cannot send; write agent: { kind: chat }');
  const text = (settings.system ?? '') + task.prompt;
  const ids = begunOnce(tokenizer.encode(text, { addSpecialTokens: true }), tokenizer);
  // Some tokenizers also close what they encode; a closed prompt would ask the model to go on after its end.
  while (ids.length > 1 && tokenizer.endTokenIds.includes(ids.at(-1) ?? -1) && !endsByItself(text, tokenizer)) ids.pop();
  if (ids.length === 0) throw new Unsuited('its prompt is empty: there is no token to start from');
  return { text, ids };
}

const endsByItself = (text: string, tokenizer: Tokenizer): boolean =>
  tokenizer.endTokenIds.includes(tokenizer.encode(text, { addSpecialTokens: false }).at(-1) ?? -1);

/**
 * The messages through the model's own template; `agent.system` goes first unless the task brings a system message of its own. Where the last
 * message is the assistant's, the answer goes on with it.
 */
function chatPrompt(task: Task, { settings, tokenizer }: AgentOptions): Prompt {
  if (!tokenizer.applyChatTemplate) throw new Unsuited('the model has no chat template; write agent: { kind: completion }');
  const messages = messagesOf(task, settings);
  const addsSystem = messages.length > (typeof task.prompt === 'string' ? 1 : task.prompt.length);
  const rendered = tokenizer.applyChatTemplate(messages, { args: settings.templateArgs, end: messages.at(-1)?.role === 'assistant' ? 'continued' : 'open' });
  if (!rendered.ok) throw new Unsuited(`${rendered.message}${addsSystem && /system/i.test(rendered.message) ? '; leave agent.system out' : ''}`);
  const { text } = rendered;
  const ids = tokenizer.encode(text, { addSpecialTokens: false });
  if (ids.length === 0) throw new Unsuited('its prompt is empty: there is no token to start from');
  return { text, ids: begunOnce(ids, tokenizer) };
}

/** `agent.system` goes first unless the task brings a system message of its own. */
function messagesOf({ prompt }: Pick<Task, 'prompt'>, { system }: Pick<AgentSettings, 'system'>): ChatMessage[] {
  const messages: ChatMessage[] = typeof prompt === 'string' ? [{ role: 'user', content: prompt }] : [...prompt];
  return system === null || messages[0]?.role === 'system' ? messages : [{ role: 'system', content: system }, ...messages];
}

function refusal(task: Pick<Task, 'id'>, promptTokens: number, options: AgentOptions): (Prepared & { ok: false }) | null {
  const error = overflow(task, promptTokens, options);
  return error ? { ok: false, error, promptTokens } : null;
}

function overflow(task: Pick<Task, 'id'>, promptTokens: number, { settings, contextLength }: AgentOptions): RolloutError | null {
  if (promptTokens + settings.maxTokens <= contextLength) return null;
  const room = contextLength - promptTokens;
  const message =
    `task ${task.id}: the prompt has ${promptTokens} tokens and max_tokens allows ${settings.maxTokens} more, ` +
    `but the model's context holds ${contextLength}; ${room > 0 ? `lower max_tokens to ${room} or shorten the prompt` : 'shorten the prompt'}`;
  return { phase: 'setup', type: 'context_overflow', message };
}

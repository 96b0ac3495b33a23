/** @file Conversations in the model's own chat template: tools are told to it, calls are read, and every turn is appended to the ids so far. */
import type { Tool } from '../environments/types.ts';
import type { Message, ToolCall } from '../events.ts';
import type { TemplateMessage } from '../policy/types.ts';
import type { Task } from '../tasks/types.ts';
import { formatOf, toolFormats, type ToolFormatName } from './formats/index.ts';
import { apartFromReasoning } from './reasoning.ts';
import { conversationTemplate } from './template.ts';
import { upToStop } from './up-to-stop.ts';
import type { Agent, AgentOptions, Composed, Composer, Prepared } from './types.ts';

export interface ChatComposerOptions extends AgentOptions {
  agent: Pick<Agent, 'stopTokenIds' | 'stopStrings'>;
  /** The messages of a task, `agent.system` among them. */
  messagesOf: (task: Pick<Task, 'prompt'>) => Message[];
  /** Is there room for the answer? */
  fits: (task: Pick<Task, 'id'>, promptTokens: number) => Prepared & { ok: false } | null;
}

/** What holds for every conversation with the same tools: proved once, by rendering some. */
interface Proved {
  made: ReturnType<typeof conversationTemplate>;
  /** Null: there are no tools, so nothing is a call. */
  format: ToolFormatName | { message: string } | null;
}

/** Composers for conversations with whatever tools. A template that cannot be appended to, or that does not tell tools, refuses every task with its reason. */
export function chatComposers(options: ChatComposerOptions): (tools: readonly Tool[]) => Composer {
  const { tokenizer, settings } = options;
  const proved = new Map<string, Proved>();
  return (tools) => {
    const key = JSON.stringify(tools);
    const functions = tools.length === 0 ? undefined : tools.map((tool) => ({ type: 'function', function: tool }));
    const known = proved.get(key) ?? {
      made: conversationTemplate(tokenizer, { tools: functions, args: settings.templateArgs }),
      format: tools.length === 0 ? null : formatFor(tools, options),
    };
    proved.set(key, known);
    return composerOver(known, options);
  };
}

function composerOver({ made, format }: Proved, { tokenizer, agent, messagesOf, fits }: ChatComposerOptions): Composer {
  let opening: readonly TemplateMessage[] = [];

  return {
    open(task) {
      const refuse = (message: string): Prepared => ({ ok: false, error: { phase: 'setup', type: 'exception', message: `task ${task.id}: ${message}` } });
      if (!made.ok) return refuse(made.message);
      if (format !== null && typeof format === 'object') return refuse(format.message);
      opening = messagesOf(task).map(templateMessage);
      const opened = made.template.open(opening);
      if (!opened.ok) return refuse(opened.message);
      return fits(task, opened.ids.length) ?? { ok: true, prompt: opened.text, tokenIds: opened.ids };
    },
    read(outputTokenIds) {
      const isEnded = agent.stopTokenIds.includes(outputTokenIds.at(-1) ?? -1);
      const drawn = isEnded ? outputTokenIds.slice(0, -1) : outputTokenIds;
      // Calls stand between marks that are special tokens, in some families.
      const { content, reasoning } = apartFromReasoning(upToStop(tokenizer.decode(drawn, { special: format !== null }), agent.stopStrings));
      const thought = reasoning === '' ? {} : { reasoning };
      if (typeof format !== 'string') return { content: content.trim(), ...thought, toolCalls: [] };
      const { calls, malformed, ...said } = toolFormats[format].parse(content);
      const plain = calls.length === 0 && malformed === undefined ? apartFromReasoning(upToStop(tokenizer.decode(drawn), agent.stopStrings)).content.trim() : said.content;
      return { content: plain, ...thought, toolCalls: calls.map((call, index): ToolCall => ({ id: callId(outputTokenIds, index), ...call })), ...(malformed === undefined ? {} : { malformed }) };
    },
    append(tokenIds, messages): Composed {
      if (!made.ok) throw new Error('Internal error: a conversation that was refused goes on');
      return made.template.append(opening, { endedByToken: agent.stopTokenIds.includes(tokenIds.at(-1) ?? -1) }, messages.map(templateMessage));
    },
  };
}

/** Nine letters and digits, as templates want them that count; told apart by where in the conversation the call stands. */
const callId = (outputTokenIds: readonly number[], index: number): string =>
  (outputTokenIds.reduce((sum, id) => (Math.imul(sum, 31) + id) | 0, index + 1) >>> 0).toString(36).padStart(9, '0').slice(-9);

/** The format that was named, or the one in which the template writes a call; or why there is none. */
function formatFor(tools: readonly Tool[], { settings, tokenizer }: Pick<AgentOptions, 'settings' | 'tokenizer'>): ToolFormatName | { message: string } {
  if (settings.toolFormat !== 'auto') return settings.toolFormat;
  const [{ name }] = tools as [Tool];
  const functions = tools.map((tool) => ({ type: 'function', function: tool }));
  const write = (messages: TemplateMessage[]) => {
    const written = tokenizer.applyChatTemplate?.(messages, { tools: functions, args: settings.templateArgs, end: 'closed' });
    return written?.ok ? written.text : '';
  };
  const question: TemplateMessage = { role: 'user', content: 'question' };
  const called = write([question, { role: 'assistant', content: '', tool_calls: [{ id: 'call00001', type: 'function', function: { name, arguments: {} } }] }]);
  const told = write([question]);
  if (!told.includes(name)) return { message: `the chat template does not tell the model of tools; use a model that was made for tools, or name agent.tool_format and describe them in agent.system` };
  return formatOf(called) ?? formatOf(told) ?? { message: `the chat template shows no known way to write a call; name it: agent.tool_format is one of ${Object.keys(toolFormats).join(', ')}` };
}

/** As templates read it. Arguments stay an object: templates write them as JSON themselves. */
function templateMessage({ role, content, reasoning, toolCalls, toolCallId, name }: Message): TemplateMessage {
  return {
    role, content,
    ...(reasoning ? { reasoning_content: reasoning } : {}),
    ...(toolCalls ? { tool_calls: toolCalls.map(({ id, name: called, arguments: args }) => ({ id, type: 'function', function: { name: called, arguments: args } })) } : {}),
    ...(toolCallId ? { tool_call_id: toolCallId } : {}),
    ...(name ? { name } : {}),
  };
}


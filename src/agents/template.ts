/**
 * Conversations whose ids are their record: what was drawn is never decoded and encoded again. Of each turn only what is new (results of tools,
 * the user's messages, the opening of the next answer) is written by the model's own template, and appended to the ids so far.
 *
 * To that end the new messages are rendered behind the beginning of the conversation and an answer that is nothing but a mark; what stands
 * behind the mark is what comes behind any answer. So it does not matter how a template would write earlier turns by now: some leave out what
 * the model thought there.
 */
import type { Rendered, TemplateMessage, TemplateOptions, Tokenizer } from '../policy/types.ts';
import { begunOnce } from './beginning.ts';

/** Ids that nobody drew: they are read, and not trained on. The text may begin with what the model has drawn of it. */
export type Appended = { ok: true; text: string; ids: number[] } | { ok: false; message: string };

export interface ConversationTemplate {
  /** The beginning, opened for the first answer; one that ends with the assistant's words is gone on with. */
  open(messages: readonly TemplateMessage[]): Appended;
  /**
   * What comes behind an answer in a conversation that began with `opening`. Where no token ended the answer (it was cut off, or a stop text
   * ended it), the template's own end of an answer comes first.
   */
  append(opening: readonly TemplateMessage[], answer: { endedByToken: boolean }, messages: readonly TemplateMessage[]): Appended;
}

export interface ConversationOptions {
  /** What the model may call, by JSON Schema. */
  tools?: readonly unknown[] | undefined;
  args?: Readonly<Record<string, unknown>>;
}

/** How the answer is put in which the mark stands: some templates take results of tools only behind a call. */
type Stand = 'text' | 'call';

/** Nine letters and digits, as templates want them that count. */
const FIRST_CALL = 'call00001';

/** Proves that the template can be appended to, by a conversation of its own; or says what it writes instead. */
export function conversationTemplate(tokenizer: Tokenizer, { tools, args = {} }: ConversationOptions = {}): { ok: true; template: ConversationTemplate } | { ok: false; message: string } {
  const { applyChatTemplate } = tokenizer;
  if (!applyChatTemplate) return { ok: false, message: 'the model has no chat template' };
  const write: Write = (messages, end) => applyChatTemplate(messages, { args, tools, end });
  const behindAnswers = prove(write, { role: 'user', content: 'zweitens' }, ['text']);
  if (!behindAnswers.ok) return behindAnswers;
  const behindCalls = tools ? prove(write, { role: 'tool', content: 'zweitens', name: 'f', tool_call_id: FIRST_CALL }, ['text', 'call']) : behindAnswers;
  if (!behindCalls.ok) return behindCalls;

  const encode = (text: string) => tokenizer.encode(text, { addSpecialTokens: false });
  const end = tokenizer.answerEnds.chat;
  return {
    ok: true,
    template: {
      open(messages) {
        const written = write(messages, messages.at(-1)?.role === 'assistant' ? 'continued' : 'open');
        return written.ok ? { ...written, ids: begunOnce(encode(written.text), tokenizer) } : written;
      },
      append(opening, { endedByToken }, messages) {
        const isBehindCall = behindCalls.stand === 'call' && messages[0]?.role === 'tool';
        const written = writeBehind(write, { opening, messages, stand: isBehindCall ? 'call' : 'text' });
        if (!written.ok) return written;
        const behind = encode(written.text);
        // Behind a call the rest of it stands first, which the model has drawn; so has it the end, mostly.
        const begin = isBehindCall ? indexOf(behind, end) : 0;
        if (begin < 0) return { ok: false, message: `the chat template cannot be appended to: it does not end a call, in ${JSON.stringify(written.text)}` };
        const isEnd = begin === indexOf(behind, end);
        return { ok: true, text: written.text, ids: behind.slice(endedByToken && isEnd ? begin + end.length : begin) };
      },
    },
  };
}

type Write = (messages: readonly TemplateMessage[], end: NonNullable<TemplateOptions['end']>) => Rendered;

/** What the template writes behind an answer: its end, the new messages, the opening of the next answer. */
function writeBehind(write: Write, { opening, messages, stand }: { opening: readonly TemplateMessage[]; messages: readonly TemplateMessage[]; stand: Stand }): Rendered {
  const mark = markNotIn([...opening, ...messages]);
  const behind = (beginning: readonly TemplateMessage[]): Rendered => {
    const written = write([...withAnswer(beginning, mark, { stand, messages }), ...messages], 'open');
    if (!written.ok) return written;
    const parts = written.text.split(mark);
    return parts.length === 2 ? { ok: true, text: parts[1]! } : { ok: false, message: `the chat template cannot be appended to: it writes an answer ${parts.length - 1} times, in ${JSON.stringify(written.text)}` };
  };
  const written = behind(opening);
  const system = opening[0]?.role === 'system' ? (opening[0].content ?? '').trim() : '';
  // Some templates put the system message before the last of the user's, wherever that is: it stands in the beginning already.
  return written.ok && system !== '' && written.text.includes(system) ? behind(opening.slice(1)) : written;
}

/** The beginning with an answer behind it, or with the mark behind the words that the assistant was given. */
function withAnswer(beginning: readonly TemplateMessage[], mark: string, { stand, messages }: { stand: Stand; messages: readonly TemplateMessage[] }): TemplateMessage[] {
  const last = beginning.at(-1);
  if (last?.role === 'assistant') return [...beginning.slice(0, -1), { ...last, content: `${last.content ?? ''}${mark}` }];
  if (stand === 'text') return [...beginning, { role: 'assistant', content: mark }];
  const results = messages.filter(({ role }) => role === 'tool');
  const calls = results.map(({ name = 'f', tool_call_id: id = FIRST_CALL }, index) => ({ id, type: 'function', function: { name: index === results.length - 1 ? mark : name, arguments: {} } }));
  return [...beginning, { role: 'assistant', content: '', tool_calls: calls }];
}

/** The way in which a message can be written behind an answer, and nothing of it elsewhere. */
function prove(write: Write, message: TemplateMessage, stands: readonly Stand[]): { ok: true; stand: Stand } | { ok: false; message: string } {
  const opening: TemplateMessage[] = [{ role: 'user', content: 'erstens' }];
  const faults = stands.map((stand) => {
    const [opened, closed, behind] = [write(opening, 'open'), write(opening, 'closed'), writeBehind(write, { opening, messages: [message], stand })];
    for (const written of [opened, closed, behind]) if (!written.ok) return { stand, fault: written.message };
    const texts = [opened, closed, behind].map((written) => (written as { text: string }).text) as [string, string, string];
    return { stand, fault: faultOf(texts, message) };
  });
  const sound = faults.find(({ fault }) => fault === null);
  return sound ? { ok: true, stand: sound.stand } : { ok: false, message: faults[0]!.fault! };
}

function faultOf([opened, closed, behind]: readonly [opened: string, closed: string, behind: string], { role, content }: TemplateMessage): string | null {
  const differs = (what: string) => `the chat template cannot be appended to: ${what}; behind an answer it writes ${JSON.stringify(behind)}`;
  if (behind.split(content!).length !== 2) return differs(`it does not write a ${role} message once (${JSON.stringify(content)})`);
  if (behind.includes('erstens')) return differs('it writes the beginning again');
  const opens = opened.startsWith(closed) ? opened.slice(closed.length) : '';
  return behind.endsWith(opens) ? null : differs(`a new answer is not opened as the first was (${JSON.stringify(opens)})`);
}

function markNotIn(messages: readonly TemplateMessage[]): string {
  const text = JSON.stringify(messages);
  let mark = 'qwertz';
  while (text.includes(mark)) mark += 'z';
  return mark;
}

const indexOf = (ids: readonly number[], part: readonly number[]): number => (part.length === 0 ? -1 : ids.findIndex((_, at) => part.every((id, index) => ids[at + index] === id)));

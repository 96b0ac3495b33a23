/** @file The chat template of a model directory: where it lies, and a conversation as it writes it. */
import { join } from 'node:path';
import type { Rendered, TemplateMessage, Tokenizer } from '../types.ts';
import { within } from '../../util/within.ts';
import { type Json, readJson, readText } from './files.ts';

export type ChatTemplate = NonNullable<Tokenizer['applyChatTemplate']>;

/** A template that takes longer has a loop in it that is not meant for conversations. */
const LIMIT_MS = 2000;

/** Templates by name, of which `default` and `tool_use` mean something; null where the directory has none. */
async function readTemplates(directory: string, config: Json): Promise<ReadonlyMap<string, string> | null> {
  const inFile = (await readText(join(directory, 'chat_template.jinja'))) ?? (await readJson(join(directory, 'chat_template.json')))?.['chat_template'];
  const given = inFile ?? config['chat_template'];
  const listed = Array.isArray(given) ? (given as Json[]).map(({ name, template }) => [name, template]) : [['default', given]];
  const templates = listed.filter((entry): entry is [string, string] => entry.every((part) => typeof part === 'string'));
  return templates.length === 0 ? null : new Map(templates.map(([name, text]) => [name, tidy(text)]));
}

/**
 * With line endings as Jinja has them, so that a file which was edited on Windows does not write others into prompts; and without the library's
 * clock, which cannot be replaced but by another name.
 */
const tidy = (template: string): string => template.replace(/^\uFEFF/, '').replaceAll(/\r\n?/g, '\n').replaceAll(/\bstrftime_now\b/g, FIXED_DATE);

/** Null where the model has no template. One that is broken says so when it is asked for: a completion agent does not need it. */
export async function loadChatTemplate(directory: string, { config, specialTokens }: { config: Json; specialTokens: Readonly<Record<string, string>> }): Promise<ChatTemplate | null> {
  const templates = await readTemplates(directory, config);
  if (templates === null) return null;
  const { Template } = await import('@huggingface/jinja');
  const compiled = new Map<string, InstanceType<typeof Template>>();
  const compile = (name: string) => {
    const template = compiled.get(name) ?? new Template(templates.get(name)!);
    compiled.set(name, template);
    return template;
  };
  const refuse = (what: string): Rendered => ({ ok: false, message: `the chat template of ${directory} ${what}` });
  return (messages, { end = 'open', tools, args } = {}) => {
    const name = tools && templates.has('tool_use') ? 'tool_use' : 'default';
    if (!templates.has(name)) return refuse(`is one of several (${[...templates.keys()].join(', ')}), and none is called default; write the one to use into chat_template.jinja, beside tokenizer_config.json`);
    try {
      const template = compile(name);
      const variables = { [FIXED_DATE]: fixedDate, documents: null, ...specialTokens, ...args, messages: end === 'continued' ? markEnd(messages) : messages, tools: tools ?? null, add_generation_prompt: end === 'open' };
      const written = within(LIMIT_MS, () => template.render(variables));
      if (!written.ok) return refuse(`takes longer than ${LIMIT_MS / 1000} s`);
      const text = end === 'continued' ? upToMark(written.value) : written.value;
      return text === null ? refuse('leaves out the last message, so that nobody can go on with it') : { ok: true, text };
    } catch (error) {
      return refuse(compiled.has(name) ? `says: ${wordsOf(error)}` : `cannot be read: ${wordsOf(error)}`);
    }
  };
}

const wordsOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Behind the text that the answer is to go on from. As in transformers, a space at its end tells whether the template trims. */
const MARK = 'CONTINUE_FINAL_MESSAGE_TAG ';

function markEnd(messages: readonly TemplateMessage[]): TemplateMessage[] {
  const last = messages.at(-1)!;
  return [...messages.slice(0, -1), { ...last, content: `${last.content ?? ''}${MARK}` }];
}

function upToMark(text: string): string | null {
  const at = text.lastIndexOf(MARK.trim());
  if (at < 0) return null;
  return text.startsWith(MARK, at) ? text.slice(0, at) : text.slice(0, at).trimEnd();
}

/** Noon of 26 July 2024, which templates that ask for no date write too. Today's would give a job that is resumed tomorrow other prompts. */
const FIXED_DATE = 'fixed_date';
const DATE: Readonly<Record<string, string>> = { Y: '2024', y: '24', m: '07', d: '26', e: '26', j: '208', B: 'July', b: 'Jul', A: 'Friday', a: 'Fri', H: '12', I: '12', M: '00', S: '00', p: 'PM', '%': '%' };
const fixedDate = (format: string): string => format.replaceAll(/%-?([A-Za-z%])/g, (whole, letter: string) => DATE[letter] ?? whole);

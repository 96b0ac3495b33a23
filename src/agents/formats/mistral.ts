/** Mistral: `[TOOL_CALLS]` and a list of calls as JSON, or (from version 11 on) `[TOOL_CALLS]name[ARGS]{…}` for each. */
import { endOfJson, malformed, readJsonCalls } from './json-call.ts';
import type { Parsed, ToolFormat, WrittenCall } from './types.ts';

const MARK = '[TOOL_CALLS]';

export const mistral: ToolFormat = {
  isOf: (template) => template.includes(MARK),
  parse(text): Parsed {
    const [content = '', ...parts] = text.split(MARK);
    const calls: WrittenCall[] = [];
    for (const part of parts) {
      const read = readPart(part.replace(/<\/s>\s*$/, '').trim());
      if ('malformed' in read) return { content: content.trim(), calls: [], malformed: read.malformed };
      calls.push(...read.calls);
    }
    return { content: content.trim(), calls };
  },
};

function readPart(part: string): { calls: WrittenCall[] } | { malformed: string } {
  const named = /^([\w.-]+)(?:\[CALL_ID\][\w-]*)?(?:\[ARGS\])?\s*(?=\{)/.exec(part);
  if (!named) return readJsonCalls(part);
  const end = endOfJson(part, named[0].length);
  const args = part.slice(named[0].length, end < 0 ? undefined : end);
  if (end >= 0 && part.slice(end).trim() !== '') return malformed(`${JSON.stringify(part.slice(end).trim().slice(0, 40))} stands behind the arguments of ${named[1]}`);
  return readJsonCalls(`{"name":${JSON.stringify(named[1])},"arguments":${args}}`);
}

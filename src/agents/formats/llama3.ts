/** Llama 3.1 to 3.3: a bare `{"name": …, "parameters": …}`, also behind `<|python_tag|>`, several divided by `;`. Anything else is what it says. */
import { endOfJson, readJsonCalls } from './json-call.ts';
import type { Parsed, ToolFormat, WrittenCall } from './types.ts';

const TAG = '<|python_tag|>';

export const llama3: ToolFormat = {
  isOf: (template) => template.includes('<|start_header_id|>') && (template.includes('"parameters"') || template.includes(TAG)),
  parse(text): Parsed {
    const tag = text.indexOf(TAG);
    const written = (tag < 0 ? text : text.slice(tag + TAG.length)).replace(/<\|(?:eom_id|eot_id)\|>\s*$/, '').trim();
    const content = tag < 0 ? '' : text.slice(0, tag).trim();
    if (tag < 0 && !/^\{\s*"(?:name|type|function)"/.test(written)) return { content: text.trim(), calls: [] };
    const calls: WrittenCall[] = [];
    for (let at = 0; at < written.length; ) {
      const end = endOfJson(written, at);
      const read = readJsonCalls(written.slice(at, end < 0 ? undefined : end));
      if ('malformed' in read) return { content, calls: [], malformed: read.malformed };
      calls.push(...read.calls);
      at = end + (/^[\s;,]*/.exec(written.slice(end))?.[0].length ?? 0);
    }
    return { content, calls };
  },
};

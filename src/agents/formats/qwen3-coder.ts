/** Qwen3-Coder: `<tool_call><function=name><parameter=key>value</parameter></function></tool_call>`. Values are bare text, or JSON where that is what they are. */
import { malformed, readBlocks } from './json-call.ts';
import type { ToolFormat, WrittenCall } from './types.ts';

export const qwen3Coder: ToolFormat = {
  isOf: (template) => template.includes('<function=') && template.includes('<parameter='),
  parse: (text) => readBlocks(text, { open: '<tool_call>', close: '</tool_call>' }, readFunction),
};

function readFunction(block: string): { calls: WrittenCall[] } | { malformed: string } {
  const call = /^<function=([^>\s]+)>([^]*?)<\/function>$/.exec(block);
  if (!call) return malformed('expected <function=name>…</function>');
  const [, name, body] = call as unknown as [string, string, string];
  const args: Record<string, unknown> = {};
  let at = 0;
  for (const parameter of body.matchAll(/\s*<parameter=([^>\s]+)>\n?([^]*?)\n?<\/parameter>\s*/gy)) {
    args[parameter[1]!] = valueOf(parameter[2]!);
    at = parameter.index + parameter[0].length;
  }
  return body.slice(at).trim() === '' ? { calls: [{ name, arguments: args }] } : malformed(`the parameters of ${name} are not written as <parameter=key>value</parameter>`);
}

/** Numbers, true, false, null, lists and objects are meant as such; all else is text. */
function valueOf(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'string' ? text : value;
  } catch {
    return text;
  }
}

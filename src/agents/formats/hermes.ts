/** Hermes, Qwen 2.5 and 3, SmolLM: JSON between `<tool_call>` and `</tool_call>`, one call or a list. */
import { readBlocks, readJsonCalls } from './json-call.ts';
import type { ToolFormat } from './types.ts';

export const hermes: ToolFormat = {
  isOf: (template) => template.includes('<tool_call>') && !template.includes('<function='),
  parse: (text) => readBlocks(text, { open: '<tool_call>', close: '</tool_call>' }, readJsonCalls),
};

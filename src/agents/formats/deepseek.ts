/** DeepSeek V3 and R1: calls between marks of their own, with `function`, the name and a fenced JSON block; from V3.1 on the name and bare JSON. */
import { malformed, readBlocks, readJsonCalls } from './json-call.ts';
import type { ToolFormat, WrittenCall } from './types.ts';

const SEPARATOR = '<｜tool▁sep｜>';

export const deepseek: ToolFormat = {
  isOf: (template) => template.includes('<｜tool▁calls▁begin｜>') || template.includes('<｜tool▁call▁begin｜>'),
  parse: (text) => readBlocks(text.replaceAll(/<｜tool▁calls▁(?:begin|end)｜>/g, ''), { open: '<｜tool▁call▁begin｜>', close: '<｜tool▁call▁end｜>' }, readCall),
};

function readCall(block: string): { calls: WrittenCall[] } | { malformed: string } {
  const [before, behind, ...more] = block.split(SEPARATOR);
  if (behind === undefined || more.length > 0) return malformed(`expected the name, ${SEPARATOR} and the arguments`);
  const fenced = /^([^\n]+)\n```(?:json)?\n([^]*?)\n?```$/.exec(behind.trim());
  const [name, args] = fenced ? [fenced[1]!, fenced[2]!] : [before!, behind];
  return readJsonCalls(`{"name":${JSON.stringify(name.trim())},"arguments":${args.trim() || '{}'}}`);
}

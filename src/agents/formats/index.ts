/** @file The formats in which models write calls of tools, by the name that `agent.tool_format` gives them. */
import { deepseek } from './deepseek.ts';
import { hermes } from './hermes.ts';
import { llama3 } from './llama3.ts';
import { mistral } from './mistral.ts';
import { pythonic } from './pythonic.ts';
import { qwen3Coder } from './qwen3-coder.ts';
import type { ToolFormat } from './types.ts';

/** In the order in which a template is asked: the more special first. */
export const toolFormats = { qwen3_coder: qwen3Coder, deepseek, mistral, pythonic, hermes, llama3_json: llama3 } as const satisfies Record<string, ToolFormat>;

export type ToolFormatName = keyof typeof toolFormats;

/** The format of a chat template's own model; null where it shows none. */
export function formatOf(template: string): ToolFormatName | null {
  const names = Object.keys(toolFormats) as ToolFormatName[];
  return names.find((name) => toolFormats[name].isOf(template)) ?? null;
}

export type { Parsed, ToolFormat, WrittenCall } from './types.ts';

/** @file The built-in tasksets know their own arguments; this copies them into the pipeline schema, so that editors do as well. */
import { generators } from '../src/tasks/generators/index.ts';

type Json = Record<string, unknown>;

/** The schema with `$defs/<Name>Args`, the conditions that lead to them, and the names of the tasksets as the generators say. */
export function withTasksetArgs(schema: Json): Json {
  const definitions = schema['$defs'] as Record<string, Json>;
  const names = Object.keys(generators);
  const kept = Object.entries(definitions).filter(([name]) => !name.endsWith('Args'));
  const added = Object.entries(generators).map(([name, generator]): [string, Json] => [definitionOf(name), argsDefinition(name, generator)]);
  const at = kept.findIndex(([name]) => name === 'Taskset') + 1;
  const taskset = definitions['Taskset'] as { properties: { source: Json } } & Json;
  const builtins = names.map((name) => `builtin:${name}`);
  Object.assign(taskset.properties.source, {
    pattern: `^(builtin:(${names.join('|')})|(?!builtin:).*\\.(json|jsonl|yaml|yml|ts|mts|js|mjs))$`,
    'x-expected': `a built-in taskset (${builtins.join(', ')}) or a path ending in .json, .jsonl, .yaml or .ts`,
    'x-suggest': builtins,
  });
  taskset['allOf'] = names.map((name) => ({
    if: { type: 'object', properties: { source: { const: `builtin:${name}` } }, required: ['source'] },
    // oxlint-disable-next-line no-thenable -- a keyword of JSON Schema
    then: { type: 'object', properties: { args: { $ref: `#/$defs/${definitionOf(name)}` } } },
  }));
  return { ...schema, $defs: Object.fromEntries([...kept.slice(0, at), ...added, ...kept.slice(at)]) };
}

function argsDefinition(name: string, { args, description, disjoint }: (typeof generators)[keyof typeof generators]): Json {
  const properties = Object.entries(args.properties).map(([key, { description: text, ...rest }]) => [key, { ...described(heading(key), text), ...rest }]);
  const defaults = Object.fromEntries(Object.entries(args.properties).slice(0, 2).map(([key, property]) => [key, property.default]));
  return { ...described(`Arguments of builtin:${name}`, `${description} ${disjoint}`), type: 'object', additionalProperties: false, properties: Object.fromEntries(properties) as Json, examples: [defaults] };
}

function described(title: string, markdown: string): Json {
  return { title, description: withoutMarkup(markdown), markdownDescription: markdown };
}

/** Editors without Markdown show the plain text. */
export function withoutMarkup(markdown: string): string {
  return markdown.replaceAll('`', '').replaceAll('**', '').replace(/\[([^\]]+)\]\([^)]+\)/g, '$1');
}

const heading = (key: string): string => `${key.charAt(0).toUpperCase()}${key.slice(1).replaceAll('_', ' ')}`;

const definitionOf = (name: string): string => `${name.split('-').map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join('')}Args`;

/** JSON with what fits on a line on one line: a schema of 1,500 lines reads better than one of 4,000. */
export function printJson(value: unknown, indent = '', used = 0): string {
  const line = oneLine(value);
  if (value === null || typeof value !== 'object' || indent.length + used + line.length <= 140) return line;
  const inner = `${indent}  `;
  if (Array.isArray(value)) return `[\n${value.map((item) => inner + printJson(item, inner)).join(',\n')}\n${indent}]`;
  const entries = Object.entries(value).map(([key, item]) => `${inner}${JSON.stringify(key)}: ${printJson(item, inner, key.length + 4)}`);
  return `{\n${entries.join(',\n')}\n${indent}}`;
}

function oneLine(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(oneLine).join(', ')}]`;
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  const entries = Object.entries(value).map(([key, item]) => `${JSON.stringify(key)}: ${oneLine(item)}`);
  return entries.length === 0 ? '{}' : `{ ${entries.join(', ')} }`;
}

/** @file The YAML reference, docs/pipeline.md, from the schema: one table per map, one line per key. */
import { stringify } from 'yaml';
import { diagnosticCodes } from '../src/config/diagnostics.ts';
import { lossPresets } from '../src/config/loss-presets.ts';
import type { Schema } from '../src/config/schema.ts';

const introduction = `# Pipeline files

<!-- Generated from schemas/pipeline.schema.json by \`npm run generate\`. -->

A pipeline is one YAML 1.2 file. Unknown keys are errors; every default is visible with \`rlrun check --resolved\`, with where it came from.
An editor that speaks JSON Schema completes and explains the keys if the file begins with

\`\`\`yaml
# yaml-language-server: $schema=../schemas/pipeline.schema.json
\`\`\`

- **Precedence**: defaults < \`extends\` < the file < \`--set\`. Maps merge deeply; **scalars and lists replace**. A map of another \`kind\` (or \`method\`)
  replaces the inherited one, and another \`taskset.source\` starts without the inherited \`args\`.
- **\`--set path=value\`** may be repeated. It is split at the first \`=\`, never at commas; the value is YAML; \`reward.1.weight\` indexes a list.
- **\`\${env:NAME}\`** and \`\${env:NAME:-default}\` insert environment variables. A value that is one reference takes the type of its content; inside \`{ }\`
  put quotes around it. \`$\${env:\` stands for itself. What a job keeps, reports and prints is the reference, never the value, so that keys may be
  given this way; a value that \`--set\` gives to a key like \`api_key\`, \`token\` or \`password\` is not told either. Another value is noticed when a job is resumed.
- **Paths** are relative to the file that writes them; in \`--set\`, to the current directory.
- **Anchors** and \`<<\` work; keys that begin with \`x-\` at the top level are ignored and are the place for them.
- **Durations** are a number and a unit: \`500ms\`, \`10s\`, \`2m\`, \`1h\`.
`;

export function renderReference(schema: Schema): string {
  const parts = [introduction, '## Top level\n', `${schema.markdownDescription}\n`, table(schema, schema)];
  const seen = new Set<string>();
  for (const [key, property] of Object.entries(schema.properties ?? {})) parts.push(...section(key, property, { root: schema, level: 2, seen }));
  parts.push(presets(), codes());
  return `${parts.join('\n').trimEnd()}\n`;
}

interface Place {
  root: Schema;
  level: number;
  /** Definitions that have a section already; stages repeat those of the top level. */
  seen: Set<string>;
}

function section(path: string, property: Schema, { root, level, seen }: Place): string[] {
  const name = definitionName(property);
  if (name !== undefined && seen.has(name)) return [];
  if (name !== undefined) seen.add(name);
  const schema = follow(root, property);
  const unions = [schema.items, schema.else, schema].filter((part) => part !== undefined && !seen.has(definitionName(part) ?? ''));
  const union = unions.find((part) => part !== undefined && follow(root, part).oneOf !== undefined);
  if (union !== undefined) seen.add(definitionName(union) ?? '');
  const kinds = union === undefined ? [] : (follow(root, union).oneOf ?? []);
  const inner = Object.entries(schema.properties ?? {});
  if (inner.length === 0 && kinds.length === 0) return [];
  const lines = [`${'#'.repeat(level)} \`${path}\`\n`, `${schema.markdownDescription ?? ''}\n`];
  if (inner.length > 0) lines.push(table(root, schema), example(path, schema));
  for (const [key, child] of inner) lines.push(...section(`${path}.${key}`, child, { root, level: level + 1, seen }));
  for (const rule of schema.allOf ?? []) {
    const args = rule.then?.properties?.['args'];
    if (args !== undefined) lines.push(...branch(args, { root, level: level + 1, seen }));
  }
  const shared = sharedProperties(root, kinds);
  if (Object.keys(shared).length > 0) lines.push('Every kind has\n', table(root, { properties: shared }));
  for (const kind of kinds) lines.push(...branch(kind, { root, level: level + 1, seen, hidden: Object.keys(shared) }));
  return lines;
}

/** What all kinds of a union have in common, so that it is said once. */
function sharedProperties(root: Schema, kinds: readonly Schema[]): Record<string, Schema> {
  const [first, ...others] = kinds.map((kind) => follow(root, kind).properties ?? {});
  const isShared = ([key, property]: [string, Schema]): boolean => others.length > 0 && others.every((other) => JSON.stringify(other[key]) === JSON.stringify(property));
  return Object.fromEntries(Object.entries(first ?? {}).filter(isShared));
}

/** One kind of a union, or the arguments of one taskset. */
function branch(kind: Schema, { root, level, seen, hidden = [] }: Place & { hidden?: readonly string[] }): string[] {
  const schema = follow(root, kind);
  const tag = Object.entries(schema.properties ?? {}).find(([, property]) => property.const !== undefined);
  const heading = tag === undefined ? (schema.title ?? '') : `\`${tag[0]}: ${String(tag[1].const)}\``;
  const lines = [`${'#'.repeat(level)} ${heading}\n`, `${schema.markdownDescription ?? ''}\n`];
  const own = { ...schema, properties: Object.fromEntries(Object.entries(schema.properties ?? {}).filter(([key, property]) => property.const === undefined && !hidden.includes(key))) };
  if (Object.keys(own.properties).length > 0) lines.push(table(root, own));
  lines.push(example(undefined, schema));
  for (const [key, child] of Object.entries(own.properties)) lines.push(...section(key, child, { root, level: level + 1, seen }));
  return lines;
}

function table(root: Schema, schema: Schema): string {
  const rows = Object.entries(schema.properties ?? {}).map(([key, property]) => {
    const value = follow(root, property);
    const isNeeded = schema.required?.includes(key) ?? false;
    return `| \`${key}\` | ${typeText(root, value)} | ${isNeeded ? '**needed**' : defaultText(value)} | ${cell(value.markdownDescription ?? '')} |`;
  });
  return ['| key | value | default | |', '|---|---|---|---|', ...rows, ''].join('\n');
}

function typeText(root: Schema, schema: Schema): string {
  if (schema.enum !== undefined) return schema.enum.map((value) => `\`${String(value)}\``).join(', ');
  if (schema.oneOf !== undefined || schema.else !== undefined) return schema.else === undefined ? 'a map' : 'a text or a map';
  const names: Record<string, string> = { string: 'text', integer: 'whole number', number: 'number', boolean: '`true`, `false`', array: 'list', object: 'map', null: '`null`' };
  const types = [schema.type ?? []].flat().map((type) => {
    if (type === 'array' && schema.items !== undefined) return listText(root, schema.items);
    return `${names[type] ?? type}${type === 'number' || type === 'integer' ? boundsText(schema) : ''}`;
  });
  return types.join(', ');
}

function listText(root: Schema, items: Schema): string {
  const item = follow(root, items);
  return item.enum === undefined ? (item.type === 'string' ? 'list of texts' : 'list') : `list of ${item.enum.map((value) => `\`${String(value)}\``).join(', ')}`;
}

function boundsText(schema: Schema): string {
  const bounds = schema as { minimum?: number; maximum?: number; exclusiveMinimum?: number; exclusiveMaximum?: number };
  const low = bounds.minimum !== undefined ? `≥ ${bounds.minimum}` : bounds.exclusiveMinimum !== undefined ? `> ${bounds.exclusiveMinimum}` : undefined;
  // Huge maxima only keep arithmetic safe, and tell a reader nothing.
  const high = bounds.maximum !== undefined && bounds.maximum <= 1024 ? `≤ ${bounds.maximum}` : bounds.exclusiveMaximum !== undefined ? `< ${bounds.exclusiveMaximum}` : undefined;
  const texts = [low, high].filter((text) => text !== undefined);
  return texts.length === 0 ? '' : ` ${texts.join(', ')}`;
}

function defaultText(schema: Schema): string {
  const value = schema.default ?? schema['x-default'];
  return value === undefined ? '' : `\`${flow(value)}\``;
}

function example(path: string | undefined, schema: Schema): string {
  const value = schema.examples?.at(-1);
  if (value === undefined) return '';
  const key = path === undefined || path.includes('.') ? undefined : path;
  return ['```yaml', key === undefined ? flow(value) : stringify({ [key]: value }, { lineWidth: 120 }).trimEnd(), '```', ''].join('\n');
}

function presets(): string {
  const rows = Object.entries(lossPresets).map(([name, { loss, normalize }]) => `| \`${name}\` | \`${flow(loss)}\` | \`${normalize}\` |`);
  return ['## Loss presets\n', 'A name under `train.loss` is short for these fields; `advantage.normalize` applies unless the file sets it.\n', '| preset | `train.loss` | `train.advantage.normalize` |', '|---|---|---|', ...rows, ''].join('\n');
}

function codes(): string {
  const rows = Object.entries(diagnosticCodes).map(([code, { severity, meaning }]) => `| \`${code}\` | ${severity} | ${meaning} |`);
  return ['## Diagnostics\n', 'Errors end with exit code 2 before anything is loaded; warnings let the run go on.\n', '| code | | meaning |', '|---|---|---|', ...rows, ''].join('\n');
}

function flow(value: unknown): string {
  return stringify(value, { collectionStyle: 'flow', lineWidth: 0 }).trimEnd();
}

const cell = (text: string): string => text.replaceAll('|', '\\|');

const definitionName = (schema: Schema): string | undefined => schema.$ref?.replace('#/$defs/', '');

function follow(root: Schema, schema: Schema): Schema {
  const name = definitionName(schema);
  return name === undefined ? schema : { ...follow(root, root.$defs?.[name] ?? {}), ...(schema.required !== undefined && { required: schema.required }) };
}

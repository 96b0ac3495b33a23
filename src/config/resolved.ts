/** @file A resolved pipeline as a file that leaves nothing out, each value with its origin. */
import { stringify } from 'yaml';
import { positionOf, type Location } from './source.ts';
import { numberText } from './values.ts';
import type { ResolvedDocument } from './resolve.ts';
import { child, textAt, toPlain, toShown, withEntry, withoutEntry, type ConfigNode, type Entry, type MapNode, type Origin } from './tree.ts';

/** Which settings a stage of this kind has in a pipeline file. */
const stageKeys: Readonly<Record<string, readonly string[]>> = {
  grpo: ['group', 'batch', 'taskset', 'agent', 'tools', 'reward', 'runtime', 'train', 'eval', 'promote', 'guard'],
  sft: ['batch', 'taskset', 'agent', 'tools', 'reward', 'runtime', 'train', 'eval', 'promote', 'guard'],
  eval: ['taskset', 'agent', 'tools', 'reward', 'runtime', 'eval'],
  export: [],
};

/**
 * The pipeline as a file that says everything, each value with a comment that says where it came from. Reading it gives the same pipeline.
 * What all stages share stands at the top, once.
 */
export function printResolved(document: ResolvedDocument, options: { style?: (text: string) => string } = {}): string {
  const { root, stages } = document;
  const lines: Line[] = [];
  const written = stages.map(writable);
  const [first] = written;
  const isPlain = written.length === 1 && first !== undefined && kindOf(first) === 'grpo';
  for (const key of ['name', 'seed', 'model']) addEntry(lines, { key, node: child(root, key), indent: 0 });
  const shared = new Map<string, ConfigNode>();
  for (const key of stageKeys['grpo'] ?? []) {
    const values = stages.flatMap((stage, index) => child(written[index], key) ?? (onlyAtTop.includes(key) ? (child(stage, key) ?? []) : []));
    const node = common(values, [key]);
    if (node === undefined) continue;
    shared.set(key, node);
    addEntry(lines, { key, node, indent: 0 });
  }
  if (isPlain) addEntry(lines, { key: 'steps', node: child(first, 'steps'), indent: 0 });
  else {
    lines.push({ text: 'steps:', origin: null });
    for (const stage of written) addItem(lines, [...shared].reduce((rest, [key, node]) => without(rest, key, node), stage), 1);
  }
  addEntry(lines, { key: 'watch', node: child(root, 'watch'), indent: 0 });
  return align(lines, options.style ?? ((text) => text));
}

/** The top level must have them, whether or not any stage uses them. */
const onlyAtTop = ['taskset', 'reward'];
/** Maps that a stage replaces whole: see `mergeMaps`. */
const wholes = ['taskset.args', 'train.loss'];
const needed = ['taskset.source', 'reward'];

/** What all the values agree on. Where they must not disagree in silence, the first one's value, which the other stages then override. */
function common(values: readonly ConfigNode[], path: readonly string[]): ConfigNode | undefined {
  const [first, ...others] = values;
  if (first === undefined) return undefined;
  const here = path.join('.');
  if (others.every((other) => isEqual(first, other))) return first;
  if (first.type !== 'map' || wholes.includes(here)) return needed.includes(here) ? first : undefined;
  const sources = new Set(values.map((value) => textAt(value, 'source')));
  const entries = [...first.entries].flatMap(([key, entry]): [string, Entry][] => {
    // Another source drops the inherited arguments, so they cannot be shared across sources.
    if (here === 'taskset' && key === 'args' && sources.size > 1) return [];
    const inner = values.map((value) => child(value, key));
    const node = inner.includes(undefined) ? undefined : common(inner as ConfigNode[], [...path, key]);
    return node === undefined ? [] : [[key, { ...entry, value: node }]];
  });
  return entries.length === 0 ? undefined : { ...first, entries: new Map(entries) };
}

/** The map without what `shared` says already. */
function without(map: MapNode, key: string, shared: ConfigNode): MapNode {
  const value = child(map, key);
  if (value === undefined) return map;
  if (isEqual(value, shared)) return withoutEntry(map, key);
  if (value.type !== 'map' || shared.type !== 'map') return map;
  const rest = [...shared.entries].reduce((remaining, [inner, entry]) => without(remaining, inner, entry.value), value);
  return withEntry(map, key, rest);
}

const isEqual = (a: ConfigNode, b: ConfigNode): boolean => JSON.stringify(toPlain(a)) === JSON.stringify(toPlain(b));

/** The stage as its own kind may write it; what resolving added for the loop alone is left out. */
function writable(stage: MapNode): MapNode {
  const kind = kindOf(stage);
  const keys = ['kind', 'name', 'steps', ...(stageKeys[kind] ?? []), 'directory', 'format', 'dtype'];
  const entries = [...stage.entries].filter(([key]) => keys.includes(key) && !(key === 'steps' && (kind === 'eval' || kind === 'export')));
  const result: MapNode = { ...stage, entries: new Map(entries) };
  const runtime = child(result, 'runtime');
  const command = child(runtime, 'command');
  const hasNoCommand = runtime?.type === 'map' && command?.type === 'list' && command.items.length === 0;
  return hasNoCommand ? withEntry(result, 'runtime', withoutEntry(runtime, 'command')) : result;
}

const kindOf = (stage: MapNode): string => textAt(stage, 'kind') ?? '';

interface Line {
  text: string;
  origin: Origin | null;
}

function addEntry(lines: Line[], { key, node, indent }: { key: string; node: ConfigNode | undefined; indent: number }): void {
  if (node === undefined) return;
  const label = `${'  '.repeat(indent)}${scalarText(key)}:`;
  if (isShort(node)) lines.push({ text: `${label} ${flowText(node)}`, origin: node.origin });
  else {
    lines.push({ text: label, origin: null });
    if (node.type === 'map') for (const [inner, entry] of node.entries) addEntry(lines, { key: inner, node: entry.value, indent: indent + 1 });
    if (node.type === 'list') for (const item of node.items) addItem(lines, item, indent + 1);
  }
}

function addItem(lines: Line[], node: ConfigNode, indent: number): void {
  const dash = `${'  '.repeat(indent)}- `;
  if (node.type !== 'map' || node.entries.size === 0) {
    lines.push({ text: dash + flowText(node), origin: node.origin });
    return;
  }
  const inner: Line[] = [];
  for (const [key, entry] of node.entries) addEntry(inner, { key, node: entry.value, indent: indent + 1 });
  const [first, ...rest] = inner as [Line, ...Line[]];
  lines.push({ ...first, text: dash + first.text.slice(dash.length) }, ...rest);
}

/** Scalars, empty collections and lists of scalars take one line. */
function isShort(node: ConfigNode): boolean {
  if (node.type === 'scalar') return true;
  if (node.type === 'list') return node.items.every((item) => item.type === 'scalar');
  return node.entries.size === 0;
}

function flowText(node: ConfigNode): string {
  if (node.type === 'scalar') return scalarText(node.secret?.shown ?? node.value);
  return stringify(toShown(node), { collectionStyle: 'flow', lineWidth: 0, flowCollectionPadding: false }).trimEnd();
}

/** One line of YAML, whatever the text holds. */
function scalarText(value: unknown): string {
  if (typeof value === 'number' && Number.isFinite(value)) return numberText(value);
  const text = typeof value === 'string' ? stringify(value, { lineWidth: 0, blockQuote: false }).trimEnd() : stringify(value).trimEnd();
  return text.includes('\n') ? JSON.stringify(value) : text;
}

function align(lines: readonly Line[], style: (text: string) => string): string {
  const width = Math.min(48, Math.max(...lines.filter((line) => line.origin !== null).map((line) => line.text.length)));
  return lines.map(({ text, origin }) => (origin === null ? text : `${text.padEnd(width)}  ${style(`# ${describeOrigin(origin)}`)}`)).join('\n');
}

/** `arith.yaml:21`, `--set group=4`, `default`, `grpo (arith.yaml:30)`. */
export function describeOrigin(origin: Origin): string {
  const line = (at: Location): string => (at.source.kind === 'set' ? at.source.name : `${at.source.name}:${positionOf(at).line}`);
  switch (origin.kind) {
    case 'file':
    case 'set':
      return line(origin.at);
    case 'env':
      return `${line(origin.at)}, $${origin.variable}`;
    case 'preset':
      return `preset ${origin.name}${origin.at === null ? ' (default)' : `, ${line(origin.at)}`}`;
    case 'derived':
      return `from ${origin.from}`;
    case 'default':
      return 'default';
  }
}

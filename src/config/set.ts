/** @file `--set path=value`: one value on top of everything that the files say. */
import { diagnose, type Diagnostic } from './diagnostics.ts';
import { HIDDEN, isSecretPath, markSecrets, secretsIn, type Secrets } from './secrets.ts';
import type { Location, Source } from './source.ts';
import { emptyMap, type ConfigNode, type MapNode } from './tree.ts';
import { readYaml, type ReadOptions } from './yaml.ts';

/** Applies one argument. Relative paths in it belong to `directory`, where the command was typed. Problems of the value itself are the schema's business. */
export function applySet(root: MapNode, argument: string, { directory, env, report }: ReadOptions & { directory: string }): MapNode {
  const source: Source = { kind: 'set', name: `--set ${argument}`, path: '', directory, text: argument };
  const equals = argument.indexOf('=');
  const parts = argument.slice(0, Math.max(equals, 0)).split('.');
  if (equals < 1 || parts.some((part) => part.trim() !== part || part === '')) {
    report(diagnose('bad-set', `--set takes path=value, but this is ${JSON.stringify(argument)}`, { source, start: 0, end: argument.length }, { fix: 'for example --set train.learning_rate=1e-4' }));
    return root;
  }
  const found = readValue(source, equals + 1, { env, report });
  if (found === undefined) return root;
  const marked = markSecrets(found, parts);
  const told = withoutSecrets(source, isSecretPath(parts) ? new Map([[argument.slice(equals + 1), HIDDEN]]) : secretsIn(marked));
  const value = relocate(marked, told);
  let offset = 0;
  const places = parts.map((part): Part => {
    const at = { source: told, start: offset, end: offset + part.length };
    offset = at.end + 1;
    return { key: part, at };
  });
  return assign(root, places, value, report) as MapNode;
}

interface Part {
  key: string;
  at: Location;
}

/** The YAML after the `=`, with places in the argument; an empty one is null, as in a file. */
function readValue(source: Source, start: number, options: ReadOptions): ConfigNode | undefined {
  const problems: Diagnostic[] = [];
  // Blanks instead of the path keep every offset as it is in the argument.
  const padded: Source = { ...source, text: ' '.repeat(start) + source.text.slice(start) };
  const value = readYaml(padded, { env: options.env, report: (d) => problems.push(d) });
  const told = isSecretPath(source.text.slice(0, start - 1).split('.')) ? withoutSecrets(source, new Map([[source.text.slice(start), HIDDEN]])) : source;
  for (const problem of problems) options.report({ ...problem, at: { ...problem.at, source: told } });
  if (problems.length > 0) return undefined;
  const whole: Location = { source, start, end: source.text.length };
  return value ?? { type: 'scalar', value: null, origin: { kind: 'set', at: { ...whole, start: start - 1 } } };
}

/** The argument as it may be shown; places in its text stay where they are. */
function withoutSecrets(source: Source, secrets: Secrets): Source {
  const hide = (text: string, standIn: (secret: string, shown: string) => string): string =>
    [...secrets].reduce((rest, [secret, shown]) => (secret === '' ? rest : rest.replaceAll(secret, () => standIn(secret, shown))), text);
  return { ...source, name: hide(source.name, (_, shown) => shown), text: hide(source.text, (secret) => '•'.repeat(secret.length)) };
}

function relocate(node: ConfigNode, source: Source): ConfigNode {
  const origin = node.origin.kind === 'default' || node.origin.kind === 'derived' || node.origin.at === null ? node.origin : { ...node.origin, at: { ...node.origin.at, source } };
  if (node.type === 'scalar') return { ...node, origin };
  if (node.type === 'list') return { ...node, origin, items: node.items.map((item) => relocate(item, source)) };
  const entries = [...node.entries].map(([key, e]) => [key, { key: e.key === null ? null : { ...e.key, source }, value: relocate(e.value, source) }] as const);
  return { ...node, origin, entries: new Map(entries) };
}

function assign(node: ConfigNode | undefined, parts: readonly Part[], value: ConfigNode, report: ReadOptions['report']): ConfigNode {
  const [part, ...rest] = parts;
  if (part === undefined) return value;
  if (node?.type === 'list') {
    const index = /^\d+$/.test(part.key) ? Number(part.key) : -1;
    if (index < 0 || index >= node.items.length) {
      report(diagnose('bad-set', `this list has ${node.items.length === 1 ? 'one entry' : `${node.items.length} entries`}, and "${part.key}" is none of them`, part.at, { fix: node.items.length === 0 ? undefined : node.items.length === 1 ? 'its number is 0' : `count from 0 to ${node.items.length - 1}` }));
      return node;
    }
    return { ...node, items: node.items.map((item, i) => (i === index ? assign(item, rest, value, report) : item)) };
  }
  // A scalar on the way gives place to a map, as it would in a file that extends this one.
  const map: MapNode = node?.type === 'map' ? node : emptyMap({ kind: 'set', at: part.at });
  const entries = new Map(map.entries);
  entries.set(part.key, { key: part.at, value: assign(map.entries.get(part.key)?.value, rest, value, report) });
  return { ...map, entries };
}

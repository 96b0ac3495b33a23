/**
 * @file Values that may be secrets, and what is told instead of them. A value from the environment is told as its reference; one that was
 * given with `--set` under a name like `api_key` is not told at all. Files, reports and messages are handed on: none of them may hold the value.
 */
import type { ConfigNode, MapNode, ScalarNode } from './tree.ts';
import type { ResolvedDocument } from './resolve.ts';
import type { ResolvedPipeline } from './types.ts';

/** Texts that must not be told → what is told instead. */
export type Secrets = ReadonlyMap<string, string>;

export const HIDDEN = '(hidden)';

/** `api_key`, `x-api-key`, `accessToken`, `Authorization`; not `max_tokens`. */
const secretKey = /(^|_)(key|apikey|token|secret|password|passwd|passphrase|credentials?|authorization|auth|bearer|cookie)$/;
const snakeCase = (key: string): string => key.replace(/([a-z0-9])([A-Z])/g, '$1_$2').replaceAll('-', '_').toLowerCase();

/** Does a value at this path go by the name of a secret, or is it a variable that a program will get? */
export const isSecretPath = (path: readonly string[]): boolean => path.slice(0, -1).includes('env') || path.some((key) => secretKey.test(snakeCase(key)));

/** Maps whose keys are the user's own. Elsewhere a number from the environment is a setting, and one wants to see it. */
const isFree = (path: readonly string[]): boolean => path.includes('args') || path.includes('env');

/** The tree with what may be told in place, for each value that wants it. */
export function markSecrets(node: ConfigNode, path: readonly string[] = []): ConfigNode {
  if (node.type === 'list') return { ...node, items: node.items.map((item, index) => markSecrets(item, [...path, String(index)])) };
  if (node.type === 'map') return { ...node, entries: new Map([...node.entries].map(([key, entry]) => [key, { ...entry, value: markSecrets(entry.value, [...path, key]) }])) };
  return markScalar(node, path);
}

function markScalar(node: ScalarNode, path: readonly string[]): ScalarNode {
  const { secret, ...open } = node;
  if (node.origin.kind === 'set' && node.value !== null && isSecretPath(path)) return { ...open, secret: { shown: HIDDEN, texts: new Map([[String(node.value), HIDDEN]]) } };
  return secret === undefined || typeof node.value === 'string' || isFree(path) ? node : open;
}

/** Everything in the tree that must not be told, the longest first: one may be a part of another. */
export function secretsIn(...nodes: readonly ConfigNode[]): Secrets {
  const found = new Map<string, string>();
  const visit = (node: ConfigNode): void => {
    if (node.type === 'list') node.items.forEach(visit);
    else if (node.type === 'map') for (const { value } of node.entries.values()) visit(value);
    else for (const [text, shown] of node.secret?.texts ?? []) found.set(text, shown);
  };
  nodes.forEach(visit);
  return new Map([...found].sort(([a], [b]) => b.length - a.length));
}

/** Shorter texts are words of any message; nobody's secret is that short. */
const SHORTEST = 4;

/** A message without the secrets that somebody's code may have put into it. */
export function concealer(secrets: Secrets): (text: string) => string {
  const hidden = [...secrets].filter(([text]) => text.length >= SHORTEST);
  return (text) => hidden.reduce((rest, [secret, shown]) => rest.replaceAll(secret, () => shown).replaceAll(JSON.stringify(secret).slice(1, -1), () => shown), text);
}

/** A word of the command line: `path=value` (or `--set=path=value`) without its value where the path names a secret. */
export function concealSet(word: string): string {
  const [, before = '', path = ''] = /^(--set=)?([^=\s]+)=/.exec(word) ?? [];
  return path !== '' && !path.startsWith('-') && isSecretPath(path.split('.')) ? `${before}${path}=${HIDDEN}` : word;
}

/** The pipeline as it may be written down. */
export function shownPipeline(pipeline: ResolvedPipeline, { root, stages }: ResolvedDocument): ResolvedPipeline {
  const shown = shownValue(pipeline, root) as ResolvedPipeline;
  return { ...shown, stages: pipeline.stages.map((stage, index) => shownValue(stage, stages[index]!) as typeof stage) };
}

const camelCase = (key: string): string => key.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());

/** The two have one shape, but for the spelling of keys and for what was converted, which is never a secret's. */
function shownValue(value: unknown, node: ConfigNode): unknown {
  if (node.type === 'scalar') return node.secret !== undefined && (value === node.value) ? node.secret.shown : value;
  if (node.type === 'list') return Array.isArray(value) ? value.map((item, index) => (node.items[index] === undefined ? item : shownValue(item, node.items[index]))) : value;
  return typeof value === 'object' && value !== null ? shownMap(value as Record<string, unknown>, node) : value;
}

function shownMap(value: Record<string, unknown>, { entries }: MapNode): unknown {
  const nodes = new Map([...entries].flatMap(([key, entry]) => [[camelCase(key), entry.value], [key, entry.value]] as const));
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, nodes.has(key) ? shownValue(item, nodes.get(key)!) : item]));
}

/** @file A valid tree → the same tree with nothing left to guess: stages inherit, defaults fill, presets expand, paths are absolute. */
import { basename, extname, resolve as resolvePath } from 'node:path';
import { expandHome } from '../util/home.ts';
import { homesWithTurns } from './runtime-keys.ts';
import { lossPresets } from './loss-presets.ts';
import { mergeMaps } from './merge.ts';
import { parseDuration } from './duration.ts';
import { fillDefaults, pipelineSchema, schemaFor, type Schema } from './schema.ts';
import type { Source } from './source.ts';
import { child, emptyMap, fromPlain, nodeAt, placeOf, withEntry, textAt, type ConfigNode, type Entry, type ListNode, type MapNode, type Origin, type Path, type ScalarNode } from './tree.ts';
import type { LossPreset } from './pipeline-file.generated.ts';

/** What `rlrun check --resolved` prints and what a `ResolvedPipeline` is made of; every value knows its origin. */
export interface ResolvedDocument {
  readonly source: Source;
  /** name, seed, model, watch. */
  readonly root: MapNode;
  /** Each with every setting it runs under, inherited ones included. */
  readonly stages: readonly MapNode[];
  /** What each stage says itself. */
  readonly own: readonly MapNode[];
}

const stageSettings = ['group', 'batch', 'taskset', 'agent', 'tools', 'reward', 'runtime', 'train', 'eval', 'promote', 'guard'] as const;
const rootSettings = ['name', 'seed', 'model', 'watch'] as const;

export interface ResolveOptions {
  source: Source;
  /** Of the model, where it is known. */
  contextLength: number | null;
}

export function resolveDocument(tree: MapNode, { source, contextLength }: ResolveOptions): ResolvedDocument {
  const name = basename(source.name, extname(source.name)).toLowerCase().replace(/[^a-z0-9._-]+/g, '-').replace(/^[^a-z0-9]+/, '').slice(0, 64);
  let root = fill(pick(tree, rootSettings), rootSettings);
  root = orElse(root, 'name', fromPlain(name || 'pipeline', { kind: 'derived', from: 'the file name' }));
  const model = section(root, 'model');
  const slug = child(root, 'name') as ScalarNode;
  const named = orElse(model, 'name', { ...slug, origin: { kind: 'derived', from: 'name' } });
  // Filled once more, for the order of the schema, which derived values were added behind.
  root = fill(withEntry(root, 'model', absolutePaths(named, [['fork']], source)), rootSettings);
  const own = ownSettings(tree);
  return { source, root, own, stages: resolveStages({ tree, own, source, seed: child(root, 'seed')!, contextLength }) };
}

/** `model.fork`, its path absolute. */
export const forkOf = (tree: MapNode, source: Source): string => textAt(absolutePaths(section(tree, 'model'), [['fork']], source), 'fork') ?? '';

/** The list of stages; a number of steps is short for one of them. */
function ownSettings(tree: MapNode): MapNode[] {
  const steps = child(tree, 'steps') ?? fromPlain(schemaFor(pipelineSchema()).properties?.['steps']?.default, { kind: 'default' });
  if (steps.type === 'list') return steps.items.filter((item) => item.type === 'map');
  const only = withEntry(emptyMap({ kind: 'derived', from: 'steps' }), 'kind', fromPlain('grpo', { kind: 'derived', from: 'steps' }));
  return [withEntry(only, 'steps', steps, tree.entries.get('steps')?.key ?? null)];
}

function resolveStages({ tree, own, ...inherited }: ResolveOptions & { tree: MapNode; own: readonly MapNode[]; seed: ConfigNode }): MapNode[] {
  const shared = pick(tree, stageSettings);
  const names = own.flatMap((stage) => textAt(stage, 'name') ?? []);
  return own.map((stage) => {
    const name = textAt(stage, 'name') ?? unusedName(textAt(stage, 'kind') ?? 'stage', names);
    names.push(name);
    return resolveStage({ ...inherited, inherited: shared, own: stage, name });
  });
}

function resolveStage({ inherited, own, name, source, seed, contextLength }: ResolveOptions & { inherited: MapNode; own: MapNode; name: string; seed: ConfigNode }): MapNode {
  const kind = textAt(own, 'kind');
  const merged = mergeMaps(inherited, pick(own, stageSettings));
  let stage = fill(merged, stageSettings);
  stage = withEntry(stage, 'agent', resolveAgent(section(stage, 'agent'), contextLength));
  stage = withEntry(stage, 'train', resolveTrain(stage, kind === 'sft'));
  stage = withEntry(stage, 'eval', orElse(section(stage, 'eval'), 'tasks', derive(nodeAt(stage, ['taskset', 'split', 'eval']), 'taskset.split.eval')));
  stage = withEntry(stage, 'taskset', orElse(section(stage, 'taskset'), 'seed', derive(seed, 'seed')));
  stage = withEntry(stage, 'tools', resolveTools(child(stage, 'tools') as ListNode, source));
  stage = withEntry(stage, 'agent', orElse(section(stage, 'agent'), 'max_steps', turns(stage)));
  stage = withEntry(stage, 'runtime', resolveRuntime(section(stage, 'runtime'), source));
  stage = withEntry(stage, 'reward', resolveRewards(child(stage, 'reward') as ListNode, source));
  stage = absolutePaths(stage, [['taskset', 'source'], ['train', 'loss', 'path']], source);
  if (kind === 'sft') stage = withEntry(stage, 'group', fromPlain(1, { kind: 'derived', from: 'the sft stage' }));
  const exported = kind === 'export' ? fillDefaults(pick(own, ['directory', 'format', 'dtype']), branchOfStage('export')) : emptyMap(own.origin);
  stage = fill(stage, stageSettings);
  const head = pick(own, ['kind', 'name', 'steps']);
  const named = orElse(head, 'name', fromPlain(name, { kind: 'derived', from: 'kind' }));
  const steps = orElse(named, 'steps', fromPlain(0, { kind: 'derived', from: `the ${kind} stage` }));
  const directory = absolutePaths(exported as MapNode, [['directory']], source);
  return { type: 'map', origin: own.origin, entries: new Map([...steps.entries, ...directory.entries, ...stage.entries]) };
}

function branchOfStage(kind: string): Schema {
  const stage = schemaFor({ $ref: '#/$defs/Stage' }, fromPlain({ kind }, { kind: 'default' }));
  const { kind: _, name: __, ...properties } = stage.properties ?? {};
  return { type: 'object', properties };
}

/** Half of a small context is for the answer, unless somebody says otherwise. */
function resolveAgent(agent: MapNode, contextLength: number | null): MapNode {
  const limit = child(agent, 'max_tokens');
  if (contextLength === null || limit?.type !== 'scalar' || limit.origin.kind !== 'default') return agent;
  const half = Math.max(1, Math.floor(contextLength / 2));
  return half >= Number(limit.value) ? agent : withEntry(agent, 'max_tokens', fromPlain(half, { kind: 'derived', from: "the model's context" }));
}

/** The loss with all of its fields, and the advantages that its preset asks for unless the user did. */
function resolveTrain(stage: MapNode, isSupervised: boolean): MapNode {
  let train = section(stage, 'train');
  const written = child(train, 'loss');
  const supervised: Origin = { kind: 'derived', from: 'the sft stage' };
  let loss: ConfigNode;
  let normalize: ConfigNode = fromPlain('none', { kind: 'default' });
  if (isSupervised) loss = fromPlain({ kind: 'cross_entropy', reduction: 'token_mean' }, supervised);
  else if (written?.type === 'scalar') {
    const name = written.value as LossPreset;
    const origin: Origin = { kind: 'preset', name, at: placeOf(written) };
    loss = fromPlain(lossPresets[name].loss, origin);
    normalize = fromPlain(lossPresets[name].normalize, origin);
  } else loss = written ?? fromPlain({}, { kind: 'default' });
  loss = fillDefaults(loss, { $ref: '#/$defs/Loss' });
  if (loss.type === 'map' && textAt(loss, 'reduction') === 'constant') {
    loss = orElse(loss, 'constant_length', derive(nodeAt(stage, ['agent', 'max_tokens']), 'agent.max_tokens'));
  }
  train = withEntry(train, 'loss', loss);
  return withEntry(train, 'advantage', orElse(section(train, 'advantage'), 'normalize', normalize));
}

function resolveRuntime(runtime: MapNode, source: Source): MapNode {
  const whole = textAt(runtime, 'timeout') ?? '60s';
  const limit = (part: string): ConfigNode => parseDuration(part) <= parseDuration(whole) ? fromPlain(part, { kind: 'default' }) : fromPlain(whole, { kind: 'derived', from: 'runtime.timeout' });
  let resolved = orElse(orElse(runtime, 'setup_timeout', limit('10s')), 'score_timeout', limit('30s'));
  resolved = orElse(resolved, 'command', fromPlain([], { kind: 'default' }));
  return withFolder(resolved, source);
}

/** Whoever offers tools, or has an environment that does, wants to hear what the model makes of their results. */
function turns(stage: MapNode): ConfigNode {
  const tools = child(stage, 'tools') as ListNode;
  if (tools.items.length > 0) return fromPlain(10, { kind: 'derived', from: 'tools' });
  const isHome = homesWithTurns.includes(textAt(section(stage, 'runtime'), 'kind') ?? '');
  return isHome ? fromPlain(10, { kind: 'derived', from: 'runtime.kind' }) : fromPlain(1, { kind: 'default' });
}

function resolveTools(tools: ListNode, source: Source): ListNode {
  const items = tools.items.map((item) => {
    const absolute = absolutePaths(item as MapNode, [['path']], source);
    return absolute.entries.has('command') ? withFolder(absolute, source) : absolute;
  });
  return { ...tools, items };
}

function resolveRewards(rewards: ListNode, source: Source): ListNode {
  const names = rewards.items.flatMap((item) => textAt(item, 'name') ?? []);
  const items = rewards.items.map((item) => {
    let reward = absolutePaths(item as MapNode, [['path']], source);
    if (!reward.entries.has('name')) {
      const path = textAt(reward, 'path');
      const name = unusedName(path === undefined ? (textAt(reward, 'kind') ?? 'reward') : basename(path, extname(path)), names);
      names.push(name);
      reward = withEntry(reward, 'name', fromPlain(name, { kind: 'derived', from: path === undefined ? 'kind' : 'path' }));
    }
    if (textAt(reward, 'kind') === 'command') reward = withFolder(reward, source);
    const nested = child(reward, 'rewards');
    return nested?.type === 'list' ? withEntry(reward, 'rewards', resolveRewards(nested, source)) : reward;
  });
  return { ...rewards, items };
}

/** `cwd`, by default the folder of the file that wrote the map; and the words of a command as a shell would hand them over. */
function withFolder(program: MapNode, source: Source): MapNode {
  const map = replaceAt(program, ['command'], (node) => {
    const word = (item: ConfigNode): ConfigNode => (item.type === 'scalar' && typeof item.value === 'string' ? { ...item, value: expandHome(item.value) } : item);
    return node.type === 'list' ? { ...node, items: node.items.map(word) } : node;
  });
  const directory = (placeOf(map)?.source ?? source).directory;
  return absolutePaths(orElse(map, 'cwd', fromPlain(directory, { kind: 'derived', from: 'the folder of the file' })), [['cwd']], source);
}

/** Relative paths belong to the file that wrote them; names of other things (`builtin:`, `hub:`, slugs) stay. */
function absolutePaths(map: MapNode, paths: readonly Path[], source: Source): MapNode {
  return paths.reduce((result, path) => replaceAt(result, path, (node) => {
    if (node.type !== 'scalar' || typeof node.value !== 'string') return node;
    const directory = (placeOf(node)?.source ?? source).directory;
    return { ...node, value: absolutePath(node.value, { directory, isReference: path.at(-1) === 'fork' }) };
  }), map);
}

function absolutePath(text: string, { directory, isReference }: { directory: string; isReference: boolean }): string {
  if (/^(builtin|hub):/.test(text)) return text;
  if (text.startsWith('config:')) return `config:${resolvePath(directory, expandHome(text.slice('config:'.length)))}`;
  if (isReference && !/^(\.{0,2}\/|~[\\/]|[A-Za-z]:[\\/])/.test(text)) return text;
  return resolvePath(directory, expandHome(text));
}

function replaceAt(map: MapNode, path: Path, replace: (node: ConfigNode) => ConfigNode): MapNode {
  const [key, ...rest] = path;
  const value = key === undefined ? undefined : child(map, key);
  if (value === undefined) return map;
  return withEntry(map, String(key), rest.length === 0 ? replace(value) : value.type === 'map' ? replaceAt(value, rest, replace) : value);
}

function unusedName(name: string, taken: readonly string[]): string {
  for (let n = 1; ; n++) {
    const candidate = n === 1 ? name : `${name}_${n}`;
    if (!taken.includes(candidate)) return candidate;
  }
}

function pick(map: MapNode, keys: readonly string[]): MapNode {
  return { ...map, entries: new Map(keys.flatMap((key): [string, Entry][] => (map.entries.has(key) ? [[key, map.entries.get(key)!]] : []))) };
}

function fill(map: MapNode, keys: readonly string[]): MapNode {
  const properties = schemaFor(pipelineSchema()).properties ?? {};
  return fillDefaults(map, { type: 'object', properties: Object.fromEntries(keys.map((key) => [key, properties[key]!])) }) as MapNode;
}

function section(map: MapNode, key: string): MapNode {
  const node = child(map, key);
  return node?.type === 'map' ? node : emptyMap({ kind: 'default' });
}

function orElse(map: MapNode, key: string, value: ConfigNode): MapNode {
  return map.entries.has(key) ? map : withEntry(map, key, value);
}

function derive(node: ConfigNode | undefined, from: string): ConfigNode {
  return { ...(node ?? fromPlain(null, { kind: 'default' })), origin: { kind: 'derived', from } };
}

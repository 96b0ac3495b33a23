/** @file One YAML text → a tree with places. Everything that YAML allows and a pipeline does not is a diagnostic here. */
import { isAlias, isMap, isScalar, isSeq, parseDocument, type Document, type Node, type Pair } from 'yaml';
import { diagnose, type Diagnostic } from './diagnostics.ts';
import { expandVariables } from './environment.ts';
import type { Location, Source } from './source.ts';
import { describeYamlError } from './yaml-errors.ts';
import type { ConfigNode, Entry, ListNode, MapNode, Origin } from './tree.ts';

export interface ReadOptions {
  env: Readonly<Record<string, string | undefined>>;
  /** Collects what is wrong. */
  report: (diagnostic: Diagnostic) => void;
}

/** No pipeline is nested like this; the limit keeps the recursion of everything behind it safe. */
const maxDepth = 40;
/** Aliases can make a small file denote a huge value; counted after expansion. */
const maxValues = 20_000;

/** What a YAML text denotes; undefined if it holds nothing. With syntax errors nothing is read: the rest would be guesses. */
export function readYaml(source: Source, { env, report }: ReadOptions): ConfigNode | undefined {
  const document = parse(source, report);
  if (document === undefined) return undefined;
  return new TreeReader(source, document, { env, report }).read();
}

function parse(source: Source, report: ReadOptions['report']): Document | undefined {
  const abyss = findAbyss(source.text);
  if (abyss !== null) {
    report(diagnose('too-deep', `values are nested more than ${maxDepth} levels deep`, { source, start: abyss, end: abyss + 1 }));
    return undefined;
  }
  const document = parseDocument(source.text, { prettyErrors: false, uniqueKeys: false, stringKeys: true, version: '1.2', logLevel: 'error' });
  const problems = [...document.errors, ...document.warnings];
  const described = problems.sort((a, b) => a.pos[0] - b.pos[0]).map((problem) => describeYamlError(problem, source));
  const firstSlip = described.findIndex(({ code }) => code === 'yaml-syntax');
  // One slip of syntax makes the parser stumble over what follows, which may be fine.
  for (const diagnostic of firstSlip === -1 ? described : described.slice(0, firstSlip + 1)) report(diagnostic);
  return problems.length === 0 ? document : undefined;
}

/**
 * The parser takes quadratic time and linear stack for nested brackets and dashes, so a few kilobytes of them could stop it. Where they
 * are nested far deeper than any value may be; brackets inside texts count too, and never come to this many.
 */
function findAbyss(text: string): number | null {
  const limit = 5 * maxDepth;
  let depth = 0;
  for (const { 0: bracket, index } of text.matchAll(/[[\]{}]/g)) {
    depth = bracket === '[' || bracket === '{' ? depth + 1 : Math.max(0, depth - 1);
    if (depth > limit) return index;
  }
  return new RegExp(`(?:[-?:][ \\t]+){${limit}}`).exec(text)?.index ?? deepestLine(text, limit);
}

/** Where lines are indented more and more, `limit` times in a row. */
function deepestLine(text: string, limit: number): number | null {
  const open: number[] = [];
  let offset = 0;
  for (const line of text.split('\n')) {
    const indent = /^ */.exec(line)?.[0].length ?? 0;
    if (indent < line.length) {
      while ((open.at(-1) ?? -1) >= indent) open.pop();
      if (open.push(indent) > limit) return offset + indent;
    }
    offset += line.length + 1;
  }
  return null;
}

/** Walks the parsed document once. Aliases are followed by hand, because the library loses their places. */
class TreeReader {
  readonly #source: Source;
  readonly #document: Document;
  readonly #options: ReadOptions;
  #values = 0;
  /** The outermost alias that is being followed. */
  #expanding: Location | null = null;
  #gaveUp = false;

  constructor(source: Source, document: Document, options: ReadOptions) {
    this.#source = source;
    this.#document = document;
    this.#options = options;
  }

  read(): ConfigNode | undefined {
    const { contents } = this.#document;
    if (contents === null || (isScalar(contents) && contents.value === null)) return undefined;
    return this.#node(contents, { depth: 0, open: new Set() });
  }

  #node(node: Node | null, place: { depth: number; open: ReadonlySet<Node>; at?: Location }): ConfigNode {
    const at = place.at ?? this.#locate(node);
    const origin: Origin = { kind: this.#source.kind, at };
    const nothing: ConfigNode = { type: 'scalar', value: null, origin };
    if (this.#gaveUp) return nothing;
    if (++this.#values > maxValues) return this.#giveUp(diagnose('too-many-values', `this file expands to more than ${maxValues.toLocaleString('en')} values`, this.#expanding ?? at, { fix: 'use fewer aliases and shorter lists' }), nothing);
    if (place.depth > maxDepth) return this.#giveUp(diagnose('too-deep', `values are nested more than ${maxDepth} levels deep`, at), nothing);
    if (isAlias(node)) return this.#alias(node, { ...place, at }) ?? nothing;
    const inner = { depth: place.depth + 1, open: place.open };
    if (isMap(node)) return this.#map(node.items, { ...inner, open: new Set([...place.open, node]) }, origin);
    if (isSeq(node)) {
      const open = new Set([...place.open, node]);
      const items = node.items.map((item) => this.#node(item as Node | null, { ...inner, open }));
      return { type: 'list', items, origin } satisfies ListNode;
    }
    if (!isScalar(node)) return nothing;
    const { value } = node;
    if (typeof value === 'string') return expandVariables(value, { at, origin, env: this.#options.env, report: this.#options.report });
    // bigint and other exotic scalars have no literal in the core schema.
    return { type: 'scalar', value: typeof value === 'number' || typeof value === 'boolean' ? value : null, origin };
  }

  /** The value of the anchor. The whole is placed at the alias, which chose it; its parts where they are written. */
  #alias(alias: Node & { source: string }, place: { depth: number; open: ReadonlySet<Node>; at: Location }): ConfigNode | undefined {
    const target = isAlias(alias) ? alias.resolve(this.#document) : undefined;
    if (target === undefined) {
      this.#options.report(diagnose('unknown-alias', `the alias *${alias.source} names no anchor above it`, place.at, { fix: this.#source.kind === 'set' ? 'put quotes around the text' : `write &${alias.source} at the value it should repeat` }));
      return undefined;
    }
    if (place.open.has(target)) {
      this.#options.report(diagnose('unknown-alias', `the alias *${alias.source} stands inside the value it repeats`, place.at));
      return undefined;
    }
    const isOutermost = this.#expanding === null;
    if (isOutermost) this.#expanding = place.at;
    const value = this.#node(target, place);
    if (isOutermost) this.#expanding = null;
    return value;
  }

  #map(pairs: readonly Pair[], place: { depth: number; open: ReadonlySet<Node> }, origin: Origin): MapNode {
    const entries = new Map<string, Entry>();
    let merged: MapNode | undefined;
    for (const pair of pairs) {
      const keyNode = pair.key as Node | null;
      const valueNode = pair.value as Node | null;
      if (!isScalar(keyNode)) {
        this.#options.report(diagnose('bad-key', 'the key of a map must be a plain text', this.#locate(keyNode)));
        continue;
      }
      const key = String(keyNode.value);
      const at = this.#locate(keyNode);
      // "a:" alone has a null without a place of its own; the key stands for it.
      const value = this.#node(valueNode, valueNode?.range == null ? { ...place, at } : place);
      if (key === '<<' && keyNode.type === 'PLAIN') {
        merged = this.#mergeKey(value, at);
      } else if (entries.has(key)) {
        const first = entries.get(key)?.key;
        this.#options.report(diagnose('duplicate-key', `the key "${key}" is written twice in the same map`, at, { fix: 'keep one of them', related: first ? [{ message: 'the first is here', at: first }] : [] }));
      } else entries.set(key, { key: at, value });
    }
    if (merged === undefined) return { type: 'map', entries, origin };
    // YAML's merge is shallow: a key that is written here replaces the merged one whole.
    return { type: 'map', entries: new Map([...merged.entries, ...entries]), origin };
  }

  #mergeKey(value: ConfigNode, at: Location): MapNode | undefined {
    if (value.type === 'map') return value;
    const parts = value.type === 'list' ? value.items : [];
    const maps = parts.filter((part) => part.type === 'map');
    if (maps.length > 0 && maps.length === parts.length) {
      return { ...maps[0]!, entries: new Map(maps.toReversed().flatMap((map) => [...map.entries])) };
    }
    this.#options.report(diagnose('bad-merge', '"<<" takes an alias of a map, or a list of them', at, { fix: 'for example <<: *defaults' }));
    return undefined;
  }

  #giveUp(diagnostic: Diagnostic, nothing: ConfigNode): ConfigNode {
    this.#gaveUp = true;
    this.#options.report(diagnostic);
    return nothing;
  }

  #locate(node: Node | null): Location {
    const [start, end] = node?.range ?? [0, 1];
    return { source: this.#source, start, end };
  }
}

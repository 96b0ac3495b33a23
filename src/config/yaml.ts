/** @file One YAML text → a tree with places. Everything that YAML allows and a pipeline does not is a diagnostic here. */
import { isAlias, isMap, isScalar, isSeq, parseDocument, type Document, type Node, type Pair, type YAMLError } from 'yaml';
import { diagnose, type Diagnostic } from './diagnostics.ts';
import { expandVariables } from './environment.ts';
import type { Location, Source } from './source.ts';
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
  const document = parseDocument(source.text, { prettyErrors: false, uniqueKeys: true, stringKeys: true, version: '1.2', logLevel: 'error' });
  const problems = [...document.errors, ...document.warnings];
  const isSyntax = (problem: YAMLError): boolean => describeYamlError(problem, source).code === 'yaml-syntax';
  const firstSyntax = problems.find(isSyntax);
  // One slip of syntax makes the parser trip again and again; the others are reported whole.
  for (const problem of problems) if (problem === firstSyntax || !isSyntax(problem)) report(describeYamlError(problem, source));
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

type YamlCode = YAMLError['code'];
/** Own sentences where the parser's are hard to act on. */
const sentences: Partial<Record<YamlCode, { message: string; fix?: string }>> = {
  BAD_INDENT: { message: 'this line is indented differently from the lines it belongs to', fix: 'align it with its neighbours' },
  TAB_AS_INDENT: { message: 'YAML does not allow tabs as indentation', fix: 'use spaces' },
  BLOCK_AS_IMPLICIT_KEY: { message: 'this value cannot begin here', fix: 'two keys on one line? Break the line, or put { } around a map' },
  MULTILINE_IMPLICIT_KEY: { message: 'a key must stand on one line and be followed by ":"', fix: 'is there a ":" missing?' },
  BAD_SCALAR_START: { message: 'a plain text cannot begin with this character', fix: 'put quotes around the text' },
  BAD_DQ_ESCAPE: { message: 'this backslash sequence is not known in double quotes', fix: 'use single quotes, where backslashes mean themselves' },
  UNEXPECTED_TOKEN: { message: 'this was not expected here' },
  BLOCK_IN_FLOW: { message: 'a block cannot stand inside { } or [ ]', fix: 'write it in { } or [ ] as well' },
};

function describeYamlError(error: YAMLError, source: Source): Diagnostic {
  const [start, end] = error.pos;
  const at: Location = { source, start, end: Math.max(end, start + 1) };
  const text = source.text.slice(start, end);
  switch (error.code) {
    case 'DUPLICATE_KEY':
      return diagnose('duplicate-key', `the key "${keyText(source, start)}" is written twice in the same map`, { ...at, end: start + keyText(source, start).length }, { fix: 'keep one of them' });
    case 'MULTIPLE_DOCS':
      return diagnose('multiple-documents', 'a pipeline file holds one YAML document, and here a second one begins', at, { fix: 'remove the "---", or put it in a file of its own' });
    case 'TAG_RESOLVE_FAILED':
      return diagnose('unknown-tag', `the tag ${text || 'here'} means nothing in a pipeline`, at, { fix: 'remove it' });
    case 'NON_STRING_KEY':
      return diagnose('bad-key', 'the key of a map must be a plain text', at, { fix: inFlowVariable(source, start) });
    case 'BAD_ALIAS':
      return diagnose('unknown-alias', 'this alias has no name', at);
    default:
      return describeSyntaxError(error, at);
  }
}

function describeSyntaxError(error: YAMLError, at: Location): Diagnostic {
  const { source, start } = at;
  const quote = /^Missing closing (["'])quote/.exec(error.message)?.[1];
  if (quote !== undefined) return diagnose('yaml-syntax', `a text that begins with ${quote} is not closed`, openQuote(at, quote), { fix: `add a ${quote} at its end` });
  const bracket = /^Flow (map|sequence) in block collection/.exec(error.message)?.[1];
  if (bracket !== undefined) {
    const [open, close] = bracket === 'map' ? ['{', '}'] : ['[', ']'];
    const opened = source.text.lastIndexOf(open, start);
    return diagnose('yaml-syntax', `a ${open} is not closed before the next line begins`, opened < 0 ? at : { source, start: opened, end: opened + 1 }, { fix: `add the ${close}` });
  }
  const deeper = deeperLine(at);
  if (error.code === 'BLOCK_AS_IMPLICIT_KEY' && deeper !== null) {
    return diagnose('yaml-syntax', 'this line is indented deeper than the one above it, which has a value already', deeper, { fix: 'align it with its neighbours' });
  }
  const sentence = sentences[error.code];
  const words = error.message.replace(/\.$/, '');
  const message = sentence?.message ?? words.charAt(0).toLowerCase() + words.slice(1);
  return diagnose('yaml-syntax', message, at, { fix: inFlowVariable(source, start) ?? sentence?.fix });
}

/** Where the text began: the last quote of the first line that has an odd number of them. The parser only knows where it gave up. */
function openQuote(at: Location, quote: string): Location {
  let offset = 0;
  for (const line of at.source.text.slice(0, at.end).split('\n')) {
    if ((line.split(quote).length - 1) % 2 === 1) {
      const start = offset + line.lastIndexOf(quote);
      return { source: at.source, start, end: start + 1 };
    }
    offset += line.length + 1;
  }
  return at;
}

/** The next line, if it is indented deeper than this one, which already is `key: value`. */
function deeperLine({ source, start }: Location): Location | null {
  const lineStart = source.text.lastIndexOf('\n', start - 1) + 1;
  const lineEnd = source.text.indexOf('\n', start);
  if (lineEnd === -1 || /:\s/.test(source.text.slice(start, lineEnd))) return null;
  const next = source.text.slice(lineEnd + 1).split('\n', 1)[0] ?? '';
  const indentOf = (line: string): number => /^ */.exec(line)?.[0].length ?? 0;
  if (next.trim() === '' || indentOf(next) <= indentOf(source.text.slice(lineStart, lineEnd))) return null;
  return { source, start: lineEnd + 1 + indentOf(next), end: lineEnd + 1 + next.length };
}

/** `{ a: ${env:X} }` is a map in a map for YAML; the error it then reports helps nobody. */
function inFlowVariable(source: Source, offset: number): string | null {
  const lineStart = source.text.lastIndexOf('\n', offset - 1) + 1;
  const line = source.text.slice(lineStart).split('\n', 1)[0] ?? '';
  return /[{,[][^"']*\$\{/.test(line) ? 'inside { } and [ ] put quotes around it: "${env:NAME}"' : null;
}

function keyText(source: Source, start: number): string {
  return /^("[^"]*"|'[^']*'|[^\s:,{}[\]]+)/.exec(source.text.slice(start, start + 200))?.[0].replace(/^["']|["']$/g, '') ?? '';
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

/** @file The pipeline file and everything it extends, read and merged into one tree. */
import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, resolve } from 'node:path';
import { expandHome } from '../util/home.ts';
import { NotAFile, readRegularFile } from '../util/regular-file.ts';
import { diagnose, type Diagnostic } from './diagnostics.ts';
import { mergeMaps } from './merge.ts';
import type { Location, Source } from './source.ts';
import { emptyMap, placeOf, withoutEntry, type ConfigNode, type MapNode } from './tree.ts';
import { nearest } from './suggest.ts';
import { readYaml } from './yaml.ts';
import { describeValue } from './values.ts';

/** The part of a file system that configuration needs. */
export interface FileSystem {
  /** UTF-8 text; rejects with a `NotAFile`, or as `node:fs` does. */
  readFile(path: string): Promise<string>;
  exists(path: string): Promise<boolean>;
  /** Bytes. */
  size(path: string): Promise<number>;
  /** Names in a directory, for suggestions; empty if there is none. */
  list(directory: string): Promise<readonly string[]>;
}

/** Of a pipeline file; models and tasks, in which places are looked up, have more. */
const maxBytes = 1_000_000;

export const disk: FileSystem = {
  readFile: (path) => readRegularFile(path, { maxBytes: 100 * maxBytes }),
  exists: (path) => stat(path).then(() => true, () => false),
  size: async (path) => (await stat(path)).size,
  list: (directory) => readdir(directory).catch(() => []),
};

export interface ReadFilesOptions {
  fileSystem: FileSystem;
  env: Readonly<Record<string, string | undefined>>;
  report: (diagnostic: Diagnostic) => void;
  /** Told of every path that was tried, read or not: the watcher waits for missing ones to appear. */
  onFile: (path: string) => void;
}

const maxChain = 16;
/** Files that extend several others could multiply; counted with repetition. */
const maxReads = 100;

export interface ReadFiles {
  /** Everything merged, without `extends`; undefined if the file itself could not be read. */
  readonly tree: MapNode | undefined;
  /** Whether all files that it extends were read: if not, what seems to be missing may be in them. */
  readonly isComplete: boolean;
  /** The file itself. */
  readonly source: Source;
}

export async function readFiles(name: string, path: string, options: ReadFilesOptions): Promise<ReadFiles> {
  let reads = 0;
  const onFile = (file: string): void => {
    reads++;
    options.onFile(file);
  };
  return await readOne({ name, path, chain: [], from: null }, { ...options, onFile, isTired: () => reads > maxReads });
}

interface Reading {
  name: string;
  path: string;
  /** Files that are being extended, outermost first. */
  chain: readonly { path: string; name: string; from: Location | null }[];
  /** The `extends` that asked for it. */
  from: Location | null;
}

async function readOne({ name, path, chain, from }: Reading, options: ReadFilesOptions & { isTired: () => boolean }): Promise<ReadFiles> {
  const { report, env } = options;
  const nameless: Source = { kind: 'file', name, path, directory: dirname(path), text: '' };
  const asked = from ?? { source: nameless, start: 0, end: 0 };
  const text = await readText(name, path, { ...options, asked });
  const source = { ...nameless, text: text ?? '' };
  if (text === undefined) return { tree: undefined, isComplete: false, source };
  let isReadable = true;
  const tree = readYaml(source, {
    env,
    report(problem) {
      isReadable &&= isLocal(problem);
      report(problem);
    },
  });
  if (!isReadable) return { tree: undefined, isComplete: false, source };
  const start: Location = { source, start: 0, end: 1 };
  if (tree === undefined) {
    report(diagnose('empty-file', text.trim() === '' ? `${name} is empty` : `${name} holds nothing but comments`, text === '' ? { source: nameless, start: 0, end: 0 } : start, { fix: 'rlrun init writes a commented pipeline to start from' }));
    return { tree: undefined, isComplete: false, source };
  }
  if (tree.type !== 'map') {
    report(diagnose('wrong-type', `a pipeline file must be a map of keys and values, but this is ${tree.type === 'list' ? 'a list' : describeValue(tree.value)}`, placeOf(tree) ?? start));
    return { tree: undefined, isComplete: false, source };
  }
  const bases: MapNode[] = [];
  let isComplete = true;
  for (const base of extended(tree, report)) {
    const basePath = resolve(source.directory, expandHome(base.path));
    const here = [...chain, { path, name, from }];
    const cycle = here.findIndex((file) => file.path === basePath);
    if (cycle !== -1) {
      const names = [...here.slice(cycle).map((file) => file.name), here[cycle]!.name];
      const related = here.slice(cycle + 1).flatMap((file) => (file.from === null ? [] : [{ message: `${file.name} is extended here`, at: file.from }]));
      isComplete = false;
      report(diagnose('extends-cycle', names.length === 2 ? `${name} extends itself` : `files extend each other in a circle: ${names.join(' → ')}`, base.at, { related }));
    } else if (here.length >= maxChain || options.isTired()) {
      isComplete = false;
      report(diagnose('extends-too-deep', here.length >= maxChain ? `more than ${maxChain} files extend each other` : `more than ${maxReads} files are extended`, base.at));
    } else {
      const baseName = isAbsolute(expandHome(base.path)) || isAbsolute(name) ? basePath : join(dirname(name), base.path);
      const read = await readOne({ name: baseName, path: basePath, chain: here, from: base.at }, options);
      if (read.tree !== undefined) bases.push(read.tree);
      isComplete &&= read.isComplete;
    }
  }
  const own = withoutEntry(tree, 'extends');
  return { tree: bases.length === 0 ? own : mergeMaps(bases.reduce((a, b) => mergeMaps(a, b), emptyMap(own.origin)), own), isComplete, source };
}

/** Whether the rest of the file still means what it says. */
const isLocal = ({ code }: Diagnostic): boolean => ['duplicate-key', 'unknown-alias', 'bad-merge', 'bad-variable', 'unknown-variable'].includes(code);

/** The files that `extends` names. What is not a text is the one thing the schema cannot report, since `extends` is gone by then. */
function extended(tree: MapNode, report: ReadFilesOptions['report']): { path: string; at: Location }[] {
  const entry = tree.entries.get('extends');
  if (entry === undefined) return [];
  const nodes: readonly ConfigNode[] = entry.value.type === 'list' ? entry.value.items : [entry.value];
  return nodes.flatMap((node) => {
    const at = placeOf(node) ?? entry.key;
    if (at === null) return [];
    if (node.type === 'scalar' && typeof node.value === 'string' && node.value !== '') return [{ path: node.value, at }];
    report(diagnose('wrong-type', `"extends" must be a path or a list of paths, but this is ${node.type === 'scalar' ? describeValue(node.value) : node.type === 'list' ? 'a list' : 'a map'}`, at, { fix: 'for example extends: ./base.yaml' }));
    return [];
  });
}

async function readText(name: string, path: string, { fileSystem, report, onFile, asked }: ReadFilesOptions & { asked: Location }): Promise<string | undefined> {
  onFile(path);
  try {
    const size = await fileSystem.size(path);
    if (size > maxBytes) {
      report(diagnose('file-too-large', `${name} has ${(size / 1e6).toFixed(1)} MB; a pipeline file has at most 1 MB`, asked, { fix: 'keep tasks in a .jsonl file and name it under taskset.source' }));
      return undefined;
    }
    const text = await fileSystem.readFile(path);
    if (text.includes('\0') || text.includes('\u{FFFD}')) {
      report(diagnose('file-unreadable', `${name} is not UTF-8 text`, asked));
      return undefined;
    }
    return text;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ENOTDIR') {
      const there = await fileSystem.list(dirname(path));
      // `rlrun run arith` beside an arith.yaml.
      const meant = there.find((file) => file === `${basename(path)}.yaml` || file === `${basename(path)}.yml`) ?? nearest(basename(path), there);
      const fix = meant !== undefined ? `did you mean "${meant}"?` : asked.source.path === path ? 'rlrun init writes a commented pipeline to start from' : undefined;
      report(diagnose('file-not-found', `there is no file ${name}`, asked, { fix }));
    } else if (code === 'EISDIR') {
      const inside = (await fileSystem.list(path)).filter((file) => /\.ya?ml$/.test(file)).sort();
      report(diagnose('file-unreadable', `${name} is a directory, not a file`, asked, { fix: inside.length === 0 || asked.source.path !== path ? undefined : `did you mean "${join(name, inside[0]!)}"?` }));
    } else if (error instanceof NotAFile) report(diagnose('file-unreadable', `${name} ${error.what}`, asked));
    else if (code !== undefined) report(diagnose('file-unreadable', `${name} cannot be read (${code})`, asked));
    else throw error;
    return undefined;
  }
}

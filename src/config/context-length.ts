/** @file How many tokens prompt and answer may have together, for models that are on this disk. */
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseDocument } from 'yaml';
import { disk, type FileSystem } from './files.ts';
import type { Location } from './source.ts';

/** Of a `model.fork` whose paths are absolute. */
export const isDirectory = (fork: string): boolean => /^(\/|[A-Za-z]:[\\/])/.test(fork);

/** Relative to the pipeline, as its author thinks of it; what lies far away has a name of its own. */
export function asSeenFrom(pipelineFile: string, file: string): string {
  const path = relative(dirname(pipelineFile), file).replaceAll('\\', '/');
  if (path.startsWith('../../../')) return file;
  return path.startsWith('.') ? path : `./${path}`;
}

/** Where a model keeps its config.json, for those that are on this disk. */
function configFile(fork: string): string | null {
  if (fork.startsWith('config:')) return fork.slice('config:'.length);
  if (fork.startsWith('builtin:')) return fileURLToPath(new URL(`../../models/${fork.slice('builtin:'.length)}/config.json`, import.meta.url));
  return isDirectory(fork) ? join(fork, 'config.json') : null;
}

/** Null where it is not known: a model of the Hub, a model of the store. */
export async function contextLength(fork: string, { pipelineFile, fileSystem = disk }: { pipelineFile: string; fileSystem?: FileSystem }): Promise<{ length: number; at: Location } | null> {
  const path = configFile(fork);
  const text = path === null ? null : await fileSystem.readFile(path).catch(() => null);
  if (path === null || text === null) return null;
  // JSON is YAML, and this parser knows places.
  const node = parseDocument(text, { prettyErrors: false }).getIn(['max_position_embeddings'], true) as { value?: unknown; range?: [number, number, number] } | undefined;
  if (typeof node?.value !== 'number') return null;
  const [start, end] = node.range ?? [0, 1];
  const source = { kind: 'file' as const, name: asSeenFrom(pipelineFile, path), path, directory: dirname(path), text };
  return { length: node.value, at: { source, start, end } };
}

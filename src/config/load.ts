/** @file The front door: a file name → a pipeline that runs, or every reason why it does not. */
import { resolve } from 'node:path';
import { contextLength } from './context-length.ts';
import { sortDiagnostics, type Diagnostic } from './diagnostics.ts';
import { disk, readFiles, type FileSystem } from './files.ts';
import { toPipeline } from './pipeline.ts';
import { forkOf, resolveDocument, type ResolvedDocument } from './resolve.ts';
import { prune, sectionOf } from './prune.ts';
import { checkRules } from './rules/index.ts';
import { concealer, markSecrets, secretsIn, shownPipeline, type Secrets } from './secrets.ts';
import { applySet } from './set.ts';
import type { Location } from './source.ts';
import { mergeMaps } from './merge.ts';
import { child, withEntry, withoutEntry, type MapNode } from './tree.ts';
import type { ResolvedPipeline } from './types.ts';
import { validate, type Invalid } from './validate.ts';

export interface LoadOptions {
  /** As the user typed it; diagnostics name it so. */
  file: string;
  /** `--set` arguments, in order. */
  sets?: readonly string[];
  /** For `${env:NAME}`. */
  env?: Readonly<Record<string, string | undefined>>;
  /** Where `file` and paths in `sets` belong. */
  directory?: string;
  fileSystem?: FileSystem;
}

export type LoadResult =
  | {
      readonly ok: true;
      readonly pipeline: ResolvedPipeline;
      /** The same as it may be written down: what came from the environment as its reference. */
      readonly shown: ResolvedPipeline;
      /** What no file and no message may hold. */
      readonly secrets: Secrets;
      /** The same pipeline with the origin of every value, for `printResolved`. */
      readonly origins: ResolvedDocument;
      /** Warnings; errors would have made it not ok. */
      readonly diagnostics: readonly Diagnostic[];
      readonly files: readonly string[];
    }
  | {
      readonly ok: false;
      readonly diagnostics: readonly Diagnostic[];
      /** Absolute paths that were read, or looked for: what a watcher waits for. */
      readonly files: readonly string[];
    };

/**
 * Reads the file and what it extends, applies `sets`, checks everything and resolves it.
 * Problems of the user are diagnostics, sorted by place; a rejection is a bug.
 */
export async function loadPipeline({ file, sets = [], env = {}, directory = '.', fileSystem = disk }: LoadOptions): Promise<LoadResult> {
  const diagnostics: Diagnostic[] = [];
  const files = new Set<string>();
  const report = (diagnostic: Diagnostic): void => void diagnostics.push(diagnostic);
  let secrets: Secrets = new Map();
  const told = (): Diagnostic[] => sortDiagnostics(diagnostics.map((diagnostic) => withoutSecrets(diagnostic, secrets)), [...files]);
  const failed = (): LoadResult => ({ ok: false, diagnostics: told(), files: [...files] });
  const path = resolve(directory, file);
  const read = await readFiles(file, path, { fileSystem, env, report, onFile: (f) => void files.add(f) });
  if (read.tree === undefined) return failed();
  const tree = sets.reduce((root, argument) => applySet(root, argument, { directory: resolve(directory), env, report }), markSecrets(read.tree) as MapNode);
  secrets = secretsIn(tree);
  const start: Location = { source: read.source, start: 0, end: 1 };
  // A value that could not be read is no news to the schema.
  const unread = diagnostics.map(({ at }) => at);
  const invalid = validate(tree, start).filter(({ diagnostic }) => read.isComplete || diagnostic.code !== 'missing-key');
  const isNews = ({ at }: Diagnostic): boolean => !unread.some((other) => other.source === at.source && other.start === at.start && other.end === at.end);
  diagnostics.push(...invalid.map(({ diagnostic }) => diagnostic).filter(isNews));
  // Contradictions are looked for in what is valid, unless too little of it is left to make a pipeline.
  const sound = prune(tree, invalid.map(({ path }) => path));
  if (validate(sound, start).length > 0) return failed();
  const context = await contextLength(forkOf(sound, read.source), { pipelineFile: path, fileSystem });
  const origins = resolveDocument(sound, { source: read.source, contextLength: context?.length ?? null });
  const apart = origins.own.flatMap((stage) => validateTogether(sound, stage, start));
  diagnostics.push(...apart.map(({ diagnostic }) => diagnostic));
  if (apart.length > 0) return failed();
  const pipeline = toPipeline(origins);
  const unclear = new Set(invalid.map(({ path }) => sectionOf(path)));
  diagnostics.push(...(await checkRules({ document: origins, pipeline, fileSystem, unclear, onFile: (named) => void files.add(named) })));
  if (diagnostics.some((d) => d.severity === 'error')) return failed();
  return { ok: true, pipeline, shown: shownPipeline(pipeline, origins), secrets, origins, diagnostics: told(), files: [...files] };
}

function withoutSecrets(diagnostic: Diagnostic, secrets: Secrets): Diagnostic {
  const conceal = concealer(secrets);
  return { ...diagnostic, message: conceal(diagnostic.message), fix: diagnostic.fix === null ? null : conceal(diagnostic.fix) };
}

/** The schema checks a stage alone; what only the inherited half decides (which arguments a taskset has) shows when they are put together. */
function validateTogether(tree: MapNode, stage: MapNode, start: Location): Invalid[] {
  const [inherited, own] = [child(tree, 'taskset'), child(stage, 'taskset')];
  if (inherited?.type !== 'map' || own?.type !== 'map') return [];
  return validate(withEntry(withoutEntry(tree, 'steps'), 'taskset', mergeMaps(inherited, own, ['taskset'])), start);
}

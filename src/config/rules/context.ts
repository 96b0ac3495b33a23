/** @file What a cross-field rule sees, and how it points at the places involved. */
import { diagnose, type Diagnostic, type DiagnosticCode, type Related } from '../diagnostics.ts';
import type { FileSystem } from '../files.ts';
import type { ResolvedDocument } from '../resolve.ts';
import type { Location } from '../source.ts';
import { formatPath, nearestPlace, nodeAt, placeOf, type ConfigNode, type MapNode, type Path } from '../tree.ts';
import type { ResolvedPipeline, StageSettings } from '../types.ts';

export interface ReportOptions {
  fix?: string | undefined;
  /** The place itself, where no path leads to it. */
  at?: Location | null;
  /** More places than the settings themselves. */
  related?: readonly Related[];
}

/** One stage with its values, their places, and a way to object. */
export interface StageContext {
  readonly pipeline: ResolvedPipeline;
  readonly stage: StageSettings;
  readonly fileSystem: FileSystem;
  /** Whether the stage samples rollouts to learn from, and whether it evaluates. */
  readonly trainsOnRollouts: boolean;
  readonly learns: boolean;
  readonly evaluates: boolean;
  node(path: Path): ConfigNode | undefined;
  /** What the stage itself says, nothing inherited. */
  readonly own: MapNode;
  /** Whether a person (or a preset that a person named) chose the value, rather than a default. */
  isWritten(path: Path): boolean;
  /** Tells whoever watches that this file is missing. */
  lookFor(path: string): void;
  /** The first of `paths` that somebody wrote is where the problem is; the others are where its other half stands. */
  report(code: DiagnosticCode, message: string, paths: readonly Path[], options?: ReportOptions): void;
}

export type StageRule = (context: StageContext) => void | Promise<void>;

export interface ContextOptions {
  document: ResolvedDocument;
  pipeline: ResolvedPipeline;
  index: number;
  fileSystem: FileSystem;
  unclear: ReadonlySet<string>;
  report: (diagnostic: Diagnostic) => void;
  lookFor: (path: string) => void;
}

export function stageContext({ document, pipeline, index, fileSystem, unclear, report, lookFor }: ContextOptions): StageContext {
  const tree = document.stages[index] as MapNode;
  const stage = pipeline.stages[index] as StageSettings;
  const treeOf = (path: Path): MapNode => (path[0] === 'model' ? document.root : tree);
  const node = (path: Path): ConfigNode | undefined => nodeAt(treeOf(path), path);
  const fallback = placeOf(tree) ?? { source: document.source, start: 0, end: 1 };
  return {
    own: document.own[index] as MapNode,
    pipeline, stage, fileSystem, node, lookFor,
    trainsOnRollouts: stage.kind === 'grpo',
    learns: stage.kind === 'grpo' || stage.kind === 'sft',
    evaluates: stage.kind !== 'export',
    isWritten: (path) => placeOf(node(path)) !== null,
    report(code, message, paths, { fix, at: given = null, related = [] } = {}) {
      if (paths.some((path) => unclear.has(String(path[0])))) return;
      const placed = paths.flatMap((path) => ((at) => (at === null ? [] : [{ path, at }]))(placeOf(node(path))));
      const at: Location = given ?? placed[0]?.at ?? (paths[0] === undefined ? null : nearestPlace(treeOf(paths[0]), paths[0])) ?? fallback;
      const others = placed.slice(1).map((other) => ({ message: `"${formatPath(other.path)}" is set here`, at: other.at }));
      report(diagnose(code, message, at, { fix, related: [...others, ...related] }));
    },
  };
}

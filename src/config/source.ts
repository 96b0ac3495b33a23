/** @file Text that a user wrote, and places in it: what a diagnostic points at and what an origin names. */

/** A text with a name. `kind: set` is one `--set` argument, whose name is the argument itself. */
export interface Source {
  readonly kind: 'file' | 'set';
  /** As people should read it: the path as they gave it, or `--set group=4`. */
  readonly name: string;
  /** Absolute; empty for `--set`. */
  readonly path: string;
  /** Relative paths inside the text belong to this directory. Absolute. */
  readonly directory: string;
  readonly text: string;
}

/** Offsets into `source.text`, in UTF-16 units; `end` is exclusive. */
export interface Location {
  readonly source: Source;
  readonly start: number;
  readonly end: number;
}

/** One-based, as editors count; columns are UTF-16 units. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

export function positionOf(location: Location): Position {
  const before = location.source.text.slice(0, location.start);
  const lineStart = before.lastIndexOf('\n') + 1;
  let line = 1;
  for (let i = before.indexOf('\n'); i !== -1; i = before.indexOf('\n', i + 1)) line++;
  return { line, column: location.start - lineStart + 1 };
}

/** `pipelines/arith.yaml:21:12`, or the `--set` argument. */
export function describeLocation(location: Location): string {
  if (location.source.kind === 'set' || location.source.text === '') return location.source.name;
  const { line, column } = positionOf(location);
  return `${location.source.name}:${line}:${column}`;
}

/** The order in which people read: files in the order given, arguments after files, then by place. */
export function compareLocations(a: Location, b: Location, files: readonly string[]): number {
  const rank = ({ source }: Location): number => (source.kind === 'set' ? files.length : files.indexOf(source.path));
  if (a.source.name !== b.source.name) return rank(a) - rank(b) || (a.source.name < b.source.name ? -1 : 1);
  return a.start - b.start || a.end - b.end;
}

/** Reading a pipeline for a command: its problems are printed, and decide the exit code. */
import { type LoadResult, type Style, formatDiagnostics, loadPipeline, positionOf } from '../../config/index.ts';
import type { LoadError } from '../../util/load-error.ts';
import type { Invocation } from '../commands.ts';
import type { Exit } from '../exit-codes.ts';
import type { Io } from '../io.ts';

const styles: { readonly [S in Style]: Parameters<Io['paint']>[0] } = {
  error: ['red', 'bold'],
  warning: ['yellow', 'bold'],
  place: 'cyan',
  'line-number': 'dim',
  caret: 'red',
  note: 'cyan',
};

/** `--set` and the flags that are short for it, in the order of precedence. */
export const setsOf = ({ setMany = [], device, threads, seed }: Invocation['flags']): string[] => [
  ...setMany,
  ...(device === undefined ? [] : [`model.device=${device}`]),
  ...(threads === undefined ? [] : [`model.threads=${threads}`]),
  ...(seed === undefined ? [] : [`seed=${seed}`]),
];

export type Read = { ok: true; loaded: LoadResult & { ok: true } } | { ok: false; exit: Exit };

/** Loads a pipeline and prints every diagnostic. */
export async function readPipeline({ args: [file = ''], flags, io }: Invocation): Promise<Read> {
  const loaded = await loadPipeline({ file, sets: setsOf(flags), env: io.env, directory: io.cwd });
  tellDiagnostics(loaded, { flags, io });
  if (loaded.ok) return { ok: true, loaded };
  const isMissing = loaded.diagnostics.length === 1 && loaded.diagnostics[0]!.code === 'file-not-found' && loaded.files.length === 1;
  return { ok: false, exit: isMissing ? 'notFound' : 'usage' };
}

export function tellDiagnostics({ ok, diagnostics }: LoadResult, { flags, io }: Pick<Invocation, 'flags' | 'io'>): void {
  if (diagnostics.length === 0) return;
  if (flags.json) {
    for (const { code, severity, message, at, fix } of diagnostics) {
      const { line, column } = positionOf(at);
      io.json({ type: 'diagnostic', code, severity, message, file: at.source.name, line, column, fix });
    }
  }
  if (ok && flags.quiet) return;
  const text = formatDiagnostics(diagnostics, { style: (style, part) => io.paint(styles[style], part), width: io.stderr.columns ?? 120 });
  io.stderr.write(`${text}\n`);
}

/** A taskset or a reward that could not be loaded: in the user's own file, or else at the key that names it. */
export function tellLoadError({ message, fix, key, at }: LoadError, pipelineFile: string, { flags, io }: Pick<Invocation, 'flags' | 'io'>): void {
  const place = at ? `${at.file}:${at.line}:${at.column}` : `${pipelineFile}${key ? ` (${key})` : ''}`;
  if (flags.json) io.json({ type: 'diagnostic', code: 'not-loaded', severity: 'error', message, file: at?.file ?? pipelineFile, line: at?.line ?? null, column: at?.column ?? null, fix });
  io.stderr.write(`${io.paint(['red', 'bold'], 'error')}: ${message}\n  ${io.paint('cyan', '-->')} ${place}\n  ${fix}\n`);
}

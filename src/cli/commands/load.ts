/** Reading a pipeline for a command: its problems are printed, and decide the exit code. */
import { type LoadResult, type Style, concealer, diagnoseLoadError, formatDiagnostics, loadPipeline, positionOf } from '../../config/index.ts';
import { type Materials, type MaterialsOptions, loadMaterials, refusedExport } from '../../pipeline/index.ts';
import type { Invocation } from '../types.ts';
import type { Exit } from '../exit-codes.ts';
import type { Io } from '../io.ts';
import { foldersToKeep, rootOf } from '../paths.ts';

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
  if (loaded.ok) io.conceal(concealer(loaded.secrets));
  tellDiagnostics(loaded, { flags, io });
  return loaded.ok ? { ok: true, loaded } : { ok: false, exit: exitOfDiagnostics(loaded) };
}

/** A pipeline that is not there is told apart from one that is wrong, or names what is not there. */
export function exitOfDiagnostics({ diagnostics, files }: LoadResult): Exit {
  return diagnostics.length === 1 && diagnostics[0]!.code === 'file-not-found' && files.length === 1 ? 'notFound' : 'usage';
}

/** Loads what a pipeline names. What is wrong with it, or in the way of its exports, is a diagnostic like those of the file itself, and not yet told. */
export async function readMaterials({ pipeline, origins }: LoadResult & { ok: true }, { io, ...options }: MaterialsOptions & { io: Io }): Promise<{ ok: true; materials: Materials } | (LoadResult & { ok: false })> {
  const refused = await refusedExport(pipeline, { root: rootOf(io), keep: foldersToKeep(io, pipeline.file) });
  const loaded = refused ? { ok: false as const, error: refused } : await loadMaterials(pipeline, options);
  if (loaded.ok) return loaded;
  const { error } = loaded;
  return { ok: false, diagnostics: [await diagnoseLoadError({ origins, error, stage: error.stage, directory: io.cwd })], files: error.files };
}

export function tellDiagnostics({ ok, diagnostics }: Pick<LoadResult, 'ok' | 'diagnostics'>, { flags, io }: Pick<Invocation, 'flags' | 'io'>): void {
  if (diagnostics.length === 0) return;
  if (flags.json) {
    for (const { code, severity, message, at, fix } of diagnostics) {
      const { line, column } = positionOf(at);
      io.json({ type: 'diagnostic', code, severity, message, file: at.source.name, line, column, fix });
    }
  }
  if (ok && flags.quiet) return;
  const text = formatDiagnostics(diagnostics, { style: (style, part) => io.paint(styles[style], part), width: io.stderr.columns ?? 120 });
  io.tell(text);
}

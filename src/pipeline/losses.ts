/** Losses that users write: loaded once to see whether they can be, and to know when they have been edited. */
import type { ResolvedPipeline } from '../config/index.ts';
import { type Failure, openUserCode } from '../runtimes/index.ts';
import { type Loaded, loadFailure } from '../util/load-error.ts';
import type { Sources } from '../util/user-sources.ts';
import { workerUrl } from '../util/worker-url.ts';

/** The loss modules that a pipeline names, as they were when it was read: the engine loads these, and not what the disk has by then. */
export interface LossModules {
  files: readonly string[];
  /** Of their code; empty when there are none. */
  hash: string;
  sources: Sources;
}

export type LossCheck = { params: { path: string }; result: string | null };

export async function loadLosses({ stages }: Pick<ResolvedPipeline, 'stages'>, { signal }: { signal?: AbortSignal } = {}): Promise<Loaded<'losses', LossModules>> {
  const named = stages.filter(({ train }) => train.loss.kind === 'module');
  const paths = [...new Set(named.flatMap(({ train: { loss } }) => (loss.kind === 'module' ? [loss.path] : [])))];
  if (paths.length === 0) return { ok: true, losses: { files: [], hash: '', sources: {} } };
  const { runtime } = named[0]!;
  const failed = (message: string, files: readonly string[], at: Failure['at'] = undefined) =>
    loadFailure(`the loss ${message}`, at ? 'Mend it.' : 'Write `export default (tensors, { b }) => …`, one term per token.', { key: 'path', at: at ?? null, files });
  const opened = await openUserCode({ entry: workerUrl('losses.worker', import.meta.url), paths, runtime, signal });
  if (!opened.ok) return failed(`cannot be loaded: ${opened.failure.message}`, opened.files, opened.failure.at);
  await using code = opened.code;
  for (const path of paths) {
    const checked = await code.pool.call('check', { path }, { timeoutMs: runtime.setupTimeoutMs, signal });
    const problem = checked.ok ? (checked.value as LossCheck['result']) : `${path}: ${checked.failure.message}`;
    if (problem !== null) return failed(problem, code.files);
  }
  return { ok: true, losses: { files: code.files, hash: code.hash, sources: code.sources } };
}

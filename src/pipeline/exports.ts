/** The exports of a pipeline: what is in their way is known before the first step. */
import type { ResolvedPipeline, StageSettings } from '../config/types.ts';
import type { StoredModel } from '../models/index.ts';
import { type LoadError, loadFailure } from '../util/load-error.ts';

export interface ExportOptions {
  /** `.rlrun` */
  root: string;
  /** Folders that no export may replace, or hold. */
  keep: readonly string[];
}

/** The first export that would have to be refused; null when all can be made. */
export async function refusedExport({ stages }: ResolvedPipeline, options: ExportOptions): Promise<(LoadError & { stage: number }) | null> {
  for (const [stage, { export: settings }] of stages.entries()) {
    if (settings === null) continue;
    const { ModelError, placeExport } = await import('../models/index.ts');
    const refusal = await placeExport(settings.directory, { ...options, replace: true }).then(() => null, (error: unknown) => error);
    if (refusal === null) continue;
    if (!(refusal instanceof ModelError)) throw refusal;
    return { ...loadFailure(refusal.message, refusal.fix, { key: 'directory' }).error, stage };
  }
  return null;
}

/** Bakes a model's head into a directory; what a user can mend comes back as a message. */
export async function exportHead(model: StoredModel, { directory, format, dtype }: NonNullable<StageSettings['export']>, { keep }: Pick<ExportOptions, 'keep'>): Promise<{ ok: true } | { ok: false; message: string }> {
  const { ModelError, exportCheckpoint } = await import('../models/index.ts');
  try {
    const checkpoint = (await model.head())?.id ?? null;
    await exportCheckpoint({ model, checkpoint, directory, format, dtype, replace: true, keep });
    return { ok: true };
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    return { ok: false, message: `${error.message}; ${error.fix}` };
  }
}

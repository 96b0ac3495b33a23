/** Bakes the head into a directory that other tools load. */
import type { StageRunner } from './types.ts';

export const runExportStage: StageRunner = async (session, index) => {
  const { pipeline, exportModel, emit } = session.options;
  const settings = pipeline.stages[index]!.export!;
  const exported = await exportModel(settings);
  if (!exported.ok) return { end: 'failed', reason: exported.message };
  emit('exported', { directory: settings.directory, format: settings.format });
  return { end: 'done', reason: null };
};

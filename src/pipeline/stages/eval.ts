/** A measurement of the head between stages: one line in the metrics, no step. */
import type { StageRunner } from './types.ts';

export const runEvalStage: StageRunner = async (session, index) => {
  const { pipeline } = session.options;
  const stage = pipeline.stages[index]!;
  const measured = session.history.rows.some((row) => row.kind === 'evaluation' && row.stage === stage.name);
  if (measured) return { end: 'done', reason: null };
  session.warnOfPrompts(index, 'eval');
  await session.evaluateHead(index);
  return { end: 'done', reason: null };
};

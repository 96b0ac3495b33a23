/** A measurement between stages: one line in the metrics, no step. */
import type { StageRunner } from './index.ts';

export const runEvalStage: StageRunner = async (session, index) => {
  const { pipeline } = session.options;
  const stage = pipeline.stages[index]!;
  const measured = session.rows.some((row) => row.kind === 'evaluation' && row.stage === stage.name);
  if (!measured) {
    const metrics = await session.evaluate(index, { step: session.step });
    await session.write({ step: session.step, stage: stage.name, kind: 'evaluation', metrics });
  }
  return { end: 'done', reason: null };
};

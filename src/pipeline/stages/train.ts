/** The steps of a stage that learns: what each of them may do, and when there should be no more of them. */
import type { MetricsRow } from '../../events.ts';
import type { Loop, StepPlace } from '../loop.ts';
import { gateAfter } from '../gate.ts';
import { gotNoVerdict, judge } from '../guards.ts';
import type { StepOptions, StepResult } from '../promote.ts';
import { learningRate } from '../schedule.ts';
import type { Session } from '../session.ts';
import { createWarner } from '../warnings.ts';
import type { StageEnd } from './index.ts';

export type TrainingStep = (place: StepPlace, options: StepOptions, loop: Loop) => Promise<StepResult>;

/** A rollback that goes on at the same speed falls into the same hole. */
const RATE_AFTER_ROLLBACK = 0.5;

export async function runTrainingStage(session: Session, index: number, runStep: TrainingStep): Promise<StageEnd> {
  try {
    return await runSteps(session, index, runStep);
  } finally {
    await session.settled();
  }
}

async function runSteps(session: Session, index: number, runStep: TrainingStep): Promise<StageEnd> {
  const loop = session.loopOf(index);
  const { stage, signal, emit } = loop;
  const { panel, start } = session.options;
  if (loop.taskset.train.length === 0) return { end: 'failed', reason: `the taskset of ${stage.name} has no tasks to learn from: set taskset.split.train above 0` };
  await session.measureBaseline(index);
  const warn = createWarner(stage, emit);

  for (;;) {
    const rows = session.rowsOf(stage);
    const verdict = judge(rows, stage.guard, session.restored(stage));
    if (verdict.action === 'stop') return verdict.failed ? { end: 'failed', reason: verdict.reason } : { end: 'done', reason: verdict.reason };
    if (verdict.action === 'rollback') {
      await session.settled();
      await session.rollBack(stage, session.bestWeights(stage), verdict.reason);
    }

    const ofStage = session.stepsDone(stage) + 1;
    if (ofStage > stage.steps) return endOf(rows.filter(({ kind }) => kind === 'step' || kind === 'skipped'));
    if (panel.finishing) return { end: 'leave' };
    await session.atBoundary(index);
    if (panel.finishing) return { end: 'leave' };
    signal.throwIfAborted();

    const step = session.step + 1;
    const rollbacks = session.rowsOf(stage).filter((row) => row.kind === 'rollback').length;
    const due = ofStage === stage.steps || (stage.eval.every > 0 && ofStage % stage.eval.every === 0);
    const evaluable = loop.taskset.eval.length > 0 && stage.eval.tasks > 0;
    const result = await runStep(
      { step, ofStage, ofModel: start.step + step },
      {
        learningRate: learningRate(stage.train, ofStage, stage.steps) * RATE_AFTER_ROLLBACK ** rollbacks,
        settled: () => session.settled(),
        parent: () => session.weights,
        head: () => session.head,
        evaluate: due && evaluable ? () => session.evaluate(index, { step }) : null,
        gate: gateAfter(session.comparable(stage), stage.promote),
        restore: () => session.restore(),
      },
      loop,
    );
    session.keep(result);
    warn(session.rowsOf(stage));
  }
}

/** A stage that went through all its steps may still have learnt nothing: then it says so, and fails if its rewards never worked. */
function endOf(steps: readonly MetricsRow[]): StageEnd {
  if (steps.length === 0 || steps.some(({ kind }) => kind === 'step')) return { end: 'done', reason: null };
  const reason = `no step learnt anything: ${steps.at(-1)!.reason}`;
  return steps.every(gotNoVerdict) ? { end: 'failed', reason } : { end: 'done', reason };
}

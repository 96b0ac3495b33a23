/** The steps of a stage that learns: what each of them may do, and when there should be no more of them. */
import type { MetricsRow } from '../../events.ts';
import type { Loop, StepPlace } from '../loop.ts';
import { gateAfter } from '../gate.ts';
import { gotNoVerdict, judge } from '../guards.ts';
import type { StepOptions, StepResult } from '../promote.ts';
import type { BegunRollouts } from '../rollout.ts';
import { learningRate } from '../schedule.ts';
import type { Session } from '../session.ts';
import { createWarner } from '../warnings.ts';
import type { StageEnd } from './types.ts';

export interface TrainingStep {
  run: (place: StepPlace, options: StepOptions, loop: Loop) => Promise<StepResult>;
  /** Of steps that can begin before the one before is written down. */
  begin: ((place: StepPlace, loop: Loop) => BegunRollouts) | null;
}

/** A rollback that goes on at the same speed falls into the same hole. */
const RATE_AFTER_ROLLBACK = 0.5;

export async function runTrainingStage(session: Session, index: number, step: TrainingStep): Promise<StageEnd> {
  try {
    return await runSteps(session, index, step);
  } finally {
    await session.settled();
  }
}

async function runSteps(session: Session, index: number, { run, begin }: TrainingStep): Promise<StageEnd> {
  const loop = session.loopOf(index);
  const { stage, signal, emit } = loop;
  const { history, options: { panel, start } } = session;
  if (loop.taskset.train.length === 0) return { end: 'failed', reason: `the taskset of ${stage.name} has no tasks to learn from: set taskset.split.train above 0` };
  session.warnOfPrompts(index, 'train');
  session.warnOfPrompts(index, 'eval');
  const silent = await session.measureBaseline(index);
  if (silent) return { end: 'failed', reason: `no held-out task got a verdict before the first step: ${silent}` };
  const warn = createWarner(stage, emit);
  const next: { rollouts: BegunRollouts | null } = { rollouts: null };

  try {
    for (;;) {
      const rows = history.rowsOf(stage);
      const verdict = judge(rows, stage.guard, history.restored(stage));
      if (verdict.action === 'stop') return verdict.failed ? { end: 'failed', reason: verdict.reason } : { end: 'done', reason: verdict.reason };
      if (verdict.action === 'rollback') {
        await session.settled();
        await session.rollBackToBest(stage, verdict.reason);
      }

      const ofStage = history.stepsDone(stage) + 1;
      if (ofStage > stage.steps) return endOf(rows.filter(({ kind }) => kind === 'step' || kind === 'skipped'));
      if (panel.finishing) return { end: 'leave' };
      await session.atBoundary(index);
      if (panel.finishing) return { end: 'leave' };
      signal.throwIfAborted();
      if (next.rollouts && !history.stands) {
        await next.rollouts.abandon();
        next.rollouts = null;
      }

      const place = { step: history.step + 1, ofStage, ofModel: start.step + history.step + 1 };
      const due = ofStage === stage.steps || (stage.eval.every > 0 && ofStage % stage.eval.every === 0);
      const evaluates = due && loop.taskset.eval.length > 0 && stage.eval.tasks > 0;
      const rollbacks = history.rowsOf(stage).filter((row) => row.kind === 'rollback').length;
      const ahead = next.rollouts;
      next.rollouts = null;
      const result = await run(
        place,
        {
          learningRate: learningRate(stage.train, ofStage, stage.steps) * RATE_AFTER_ROLLBACK ** rollbacks,
          ahead,
          onUpdating() {
            // The engine goes from the update to the next rollouts, while the step is still being written down.
            if (begin && ofStage < stage.steps && !evaluates && !panel.finishing && !panel.paused) next.rollouts = begin(following(place), loop);
          },
          captured: () => session.captured(),
          settled: () => session.settled(),
          parent: () => session.weights,
          head: () => session.head,
          evaluate: evaluates ? () => session.evaluate(index, { step: place.step }) : null,
          gate: gateAfter(history.comparable(stage), stage.promote),
          restore: () => session.restore(),
        },
        loop,
      );
      session.keep(result);
      warn(history.rowsOf(stage));
    }
  } finally {
    await next.rollouts?.abandon();
  }
}

const following = ({ step, ofStage, ofModel }: StepPlace): StepPlace => ({ step: step + 1, ofStage: ofStage + 1, ofModel: ofModel + 1 });

/** A stage that went through all its steps may still have learnt nothing: then it says so, and fails if its rewards never worked or no gradient was finite. */
function endOf(steps: readonly MetricsRow[]): StageEnd {
  if (steps.length === 0 || steps.some(({ kind }) => kind === 'step')) return { end: 'done', reason: null };
  const reason = `no step learnt anything: ${steps.at(-1)!.reason}`;
  const isRefused = (row: MetricsRow): boolean => row.metrics['update/refused'] === 1;
  return steps.every(gotNoVerdict) || steps.every(isRefused) ? { end: 'failed', reason } : { end: 'done', reason };
}

/** @file Promotion, early stop and rollback need scores that somebody measures. */
import { nearest } from '../suggest.ts';
import type { StageRule } from './context.ts';

export const evaluationRules: readonly StageRule[] = [
  function heldOutTasksExist({ stage, evaluates, learns, isWritten, report }) {
    if (!evaluates || stage.taskset.split.eval > 0) return;
    const split = ['taskset', 'split', 'eval'] as const;
    const none = 'there are no held-out tasks';
    if (stage.kind === 'eval') report('no-held-out', `an eval stage has nothing to evaluate: ${none}`, [split]);
    if (!learns) return;
    if (stage.promote.when === 'better') report('no-held-out', `promote.when: better compares held-out scores, and ${none}`, [['promote', 'when'], split], { fix: 'set taskset.split.eval' });
    if (stage.guard.patience > 0) report('no-held-out', `"guard.patience" counts evaluations, and ${none}`, [['guard', 'patience'], split], { fix: 'set taskset.split.eval' });
    if (stage.guard.target !== null) report('no-held-out', `"guard.target" is a held-out score, and ${none}`, [['guard', 'target'], split], { fix: 'set taskset.split.eval' });
    if (stage.eval.every > 0 && isWritten(['eval', 'every'])) report('no-effect', `"eval.every" does nothing: ${none}`, [['eval', 'every'], split]);
  },

  function evaluationsHappenBetweenSteps({ stage, learns, report }) {
    if (!learns || stage.eval.every > 0 || stage.taskset.split.eval === 0) return;
    const never = 'with eval.every: 0 nothing is evaluated between steps';
    if (stage.promote.when === 'better') report('no-held-out', `promote.when: better compares evaluations, and ${never}`, [['promote', 'when'], ['eval', 'every']], { fix: 'for example eval: { every: 10 }' });
    if (stage.guard.patience > 0) report('no-held-out', `"guard.patience" counts evaluations, and ${never}`, [['guard', 'patience'], ['eval', 'every']], { fix: 'for example eval: { every: 10 }' });
    if (stage.guard.target !== null) report('no-held-out', `"guard.target" is compared with evaluations, and ${never}`, [['guard', 'target'], ['eval', 'every']], { fix: 'for example eval: { every: 10 }' });
  },

  function promotionMetricIsMeasured({ stage, learns, isWritten, report }) {
    const { when, metric } = stage.promote;
    if (!learns) return;
    if (when === 'always') {
      if (isWritten(['promote', 'metric'])) report('no-effect', '"promote.metric" does nothing with when: always', [['promote', 'metric'], ['promote', 'when']], { fix: 'use when: better' });
      return;
    }
    const { samples } = stage.eval;
    const passes = samples === 0 ? [] : Array.from({ length: Math.floor(Math.log2(samples)) + 1 }, (_, power) => `eval/pass@${2 ** power}`);
    const measured = ['eval/reward', 'eval/accuracy', ...passes];
    if (measured.includes(metric)) return;
    const asksForSamples = metric.startsWith('eval/pass@');
    const wanted = Number(/^eval\/pass@(\d+)$/.exec(metric)?.[1] ?? NaN);
    const fix = Number.isInteger(Math.log2(wanted)) ? `set eval.samples to ${wanted} or more` : nearestMetric(metric, measured);
    report('metric-not-measured', `${metric} is not measured${asksForSamples ? ` with eval.samples: ${samples}` : ''}`, [['promote', 'metric'], ...(asksForSamples ? [['eval', 'samples']] : [])], { fix });
  },

  function tasksAreThere({ stage, evaluates, isWritten, report }) {
    const there = stage.taskset.split.eval;
    if (evaluates && there > 0 && stage.eval.tasks > there && isWritten(['eval', 'tasks'])) {
      report('no-effect', `"eval.tasks" asks for ${stage.eval.tasks}, and there are ${there} held-out tasks`, [['eval', 'tasks'], ['taskset', 'split', 'eval']]);
    }
  },

  function guardsAreOn({ stage, learns, isWritten, report }) {
    if (!learns || stage.guard.rollback) return;
    for (const key of ['entropy_floor', 'truncated_ceiling']) {
      if (isWritten(['guard', key])) report('no-effect', `"guard.${key}" does nothing with rollback: false`, [['guard', key], ['guard', 'rollback']]);
    }
  },
];

/** For a metric that is not measured, the one that was meant. */
function nearestMetric(metric: string, known: readonly string[]): string {
  const suggestion = nearest(metric, known);
  return suggestion === undefined ? `measured here: ${known.join(', ')}` : `did you mean "${suggestion}"?`;
}

/** What is not as it should be, said once when it begins. The ranges, sentences and fixes are those of `health/`. */
import type { StageSettings } from '../config/types.ts';
import type { Emit, MetricsRow } from '../events.ts';
import { findings } from '../health/index.ts';
import { collapse, currentRows } from './guards.ts';

/** One odd batch is no news: a finding counts after so many steps in a row. */
const STEPS_IN_A_ROW = 3;
const STALLED_STEPS = 5;
/** What comes and goes is not said again for so many steps. */
const SILENT_STEPS = 25;

interface Warning {
  code: string;
  message: string;
  fix: string;
}

function warningsAt(rows: readonly MetricsRow[], stage: StageSettings): Warning[] {
  const last = rows.at(-1)!;
  const history = (metric: string) => rows.flatMap((row) => row.metrics[metric] ?? []);
  const unhealthy = findings(last.metrics, { step: last.step, history }).map(({ metric, message, fix }) => ({ code: metric, message, fix }));
  const steps = rows.filter((row) => row.kind === 'step' || row.kind === 'skipped').slice(-STALLED_STEPS);
  const stalled = steps.length === STALLED_STEPS && steps.every((row) => row.kind === 'skipped');
  const collapsed = stage.guard.rollback ? null : collapse(rows, stage.guard);
  return [
    ...unhealthy,
    ...(stalled ? [{ code: 'stalled', message: `${STALLED_STEPS} steps in a row had nothing to learn from`, fix: 'raise agent.temperature, enlarge the group, or vary the tasks' }] : []),
    ...(collapsed ? [{ code: collapsed.code, message: collapsed.reason, fix: 'roll back and lower train.learning_rate, or set guard.rollback: true' }] : []),
  ];
}

/** Says each thing when it has been wrong for a while, and again only after it has been right in between, and not too often. */
export function createWarner(stage: StageSettings, emit: Emit): (rows: readonly MetricsRow[]) => void {
  const standing = new Map<string, number>();
  const said = new Map<string, number>();
  return (rows) => {
    const now = warningsAt(currentRows(rows), stage);
    for (const { code, message, fix } of now) {
      standing.set(code, (standing.get(code) ?? 0) + 1);
      const patience = code.includes('/') || code in rows.at(-1)!.metrics ? STEPS_IN_A_ROW : 1;
      const { step } = rows.at(-1)!;
      if (standing.get(code) !== patience || step - (said.get(code) ?? -Infinity) < SILENT_STEPS) continue;
      said.set(code, step);
      emit('warning', { step, code, message, fix });
    }
    for (const code of [...standing.keys()]) if (!now.some((warning) => warning.code === code)) standing.delete(code);
  };
}

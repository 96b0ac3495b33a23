/** Should the head move to what a step has made? */
import type { PromoteSettings } from '../config/types.ts';
import type { Metrics, MetricsRow } from '../events.ts';

export interface GateDecision {
  promote: boolean;
  reason: string;
}

type Gate = (metrics: Metrics, head: Metrics | null, settings: PromoteSettings) => GateDecision;

/**
 * `better` moves the head only when the held-out score lies above the whole confidence interval of the head's. The loop goes on from what it
 * has learnt either way; the head is what others sample, export and start from.
 */
const gates: { [W in PromoteSettings['when']]: Gate } = {
  always: () => ({ promote: true, reason: 'every step is promoted' }),
  better: (metrics, head, { metric }) => {
    const score = metrics[metric];
    if (score === undefined) return { promote: false, reason: `${metric} was not measured at this step` };
    const bar = head?.[`${metric}_high`] ?? head?.[metric];
    if (bar === undefined) return { promote: true, reason: `${metric} is ${score.toFixed(3)}, and the head was never measured` };
    const comparison = `${metric} ${score.toFixed(3)} against the head's ${head![metric]!.toFixed(3)}, whose interval ends at ${bar.toFixed(3)}`;
    return { promote: score > bar, reason: `${score > bar ? 'better' : 'not better'}: ${comparison}` };
  },
};

/** The gate as it stands after these rows: the head was measured when it was promoted, or before the first step. */
export function gateAfter(rows: readonly MetricsRow[], settings: PromoteSettings): (metrics: Metrics) => GateDecision {
  const head = rows.findLast((row) => row.metrics[settings.metric] !== undefined && (row.promoted || row.kind === 'baseline'));
  return (metrics) => gates[settings.when](metrics, head?.metrics ?? null, settings);
}

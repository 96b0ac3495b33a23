/** @file The checkpoint tree: what led to the head runs straight, what was left behind branches off. */
import { formatScore } from '../util/words.ts';
import type { CheckpointSummary } from '../events.ts';
import { formatNumber, linearScale, rewardColor, svgNumber } from '../plot/index.ts';
import { type Html, html } from './html.ts';
import type { ReportJob } from './read-job.ts';

export interface PlacedCheckpoint {
  checkpoint: CheckpointSummary;
  /** 0 for the line that leads to the head. */
  lane: number;
}

/**
 * Lane 0 is the way from the start to the head. Each other branch takes the lowest lane that is free from where it forks to where it ends.
 * Checkpoints come oldest first.
 */
export function placeCheckpoints(checkpoints: readonly CheckpointSummary[], head: string | null): PlacedCheckpoint[] {
  const byId = new Map(checkpoints.map((checkpoint) => [checkpoint.id, checkpoint]));
  const lanes = new Map<string, number>();
  for (let at = byId.get(head ?? '') ?? checkpoints.at(-1); at && !lanes.has(at.id); at = byId.get(at.parent ?? '')) lanes.set(at.id, 0);

  const taken: { lane: number; from: number; to: number }[] = [];
  for (const tip of checkpoints.toReversed()) {
    if (lanes.has(tip.id)) continue;
    const branch: CheckpointSummary[] = [];
    let at: CheckpointSummary | undefined = tip;
    for (; at && !lanes.has(at.id); at = byId.get(at.parent ?? '')) branch.push(at);
    const [from, to] = [at?.step ?? branch.at(-1)!.step - 1, tip.step];
    let lane = 1;
    while (taken.some((other) => other.lane === lane && other.from <= to && from <= other.to)) lane++;
    taken.push({ lane, from, to });
    for (const checkpoint of branch) lanes.set(checkpoint.id, lane);
  }
  return checkpoints.map((checkpoint) => ({ checkpoint, lane: lanes.get(checkpoint.id)! }));
}

/** The head that the job left: told at its end, else the last move. */
export function headOf({ events, meta }: ReportJob): string | null {
  const moves = [...events.promoted.map(({ time, checkpoint }) => ({ time, to: checkpoint as string | null })), ...events['rolled-back'].map(({ time, head }) => ({ time, to: head }))];
  const last = moves.toSorted((a, b) => a.time - b.time).at(-1);
  const end = events['job-finished'].at(-1);
  return end && (!last || end.time >= last.time) ? end.head : (last?.to ?? meta.start.checkpoint);
}

const MAX_NODES = 220;
const LANE = 26;

export function renderCheckpoints(job: ReportJob): Html | null {
  const { checkpoints, meta } = job;
  if (checkpoints.length === 0) return null;
  const head = headOf(job);
  const placed = placeCheckpoints(checkpoints, head);
  const best = bestCheckpoint(checkpoints)?.id ?? null;
  const notable = notableOf(placed, { head, best, job });
  const missing = checkpoints.length - notable.size;
  const rows = placed.filter(({ checkpoint }) => notable.has(checkpoint.id)).toReversed();
  const nameOf = (id: string | null) => (id === null ? 'base' : (checkpoints.find((other) => other.id === id)?.name ?? (id === meta.start.checkpoint ? 'where it began' : id)));
  return html`<div class="scroll">${renderTree(placed, { head, best, job })}</div>
<table class="checkpoints"><thead><tr><th></th><th>checkpoint</th><th>from</th><th class="n">reward</th><th class="n">held-out</th></tr></thead><tbody>
${rows.slice(0, 40).map(({ checkpoint, lane }) => html`<tr class="${lane > 0 && 'aside'}"><td>${marksOf(checkpoint.id, { head, best })}</td><td>${checkpoint.name}</td><td>${nameOf(checkpoint.parent)}</td><td class="n">${formatScore(checkpoint.meanReward)}</td><td class="n">${formatScore(checkpoint.evalReward)}</td></tr>`)}
</tbody></table>${missing > 0 && html`<p class="muted">Head, best, measured and branching checkpoints; ${missing} others lie between them.</p>`}`;
}

const marksOf = (id: string, { head, best }: { head: string | null; best: string | null }): string => [id === head && 'head', id === best && 'best'].filter(Boolean).join(', ');

/** The highest held-out reward, the first of equals; null when none was measured. */
export function bestCheckpoint(checkpoints: readonly CheckpointSummary[]): CheckpointSummary | null {
  const measured = checkpoints.filter(({ evalReward }) => evalReward !== null);
  return measured.reduce<CheckpointSummary | null>((top, one) => (top === null || one.evalReward! > top.evalReward! ? one : top), null);
}

interface Standing {
  head: string | null;
  best: string | null;
  job: ReportJob;
}

/** First, last, head, best, measured, where a branch begins and where it ends. */
function notableOf(placed: readonly PlacedCheckpoint[], { head, best }: Standing): Set<string> {
  const children = Map.groupBy(placed, ({ checkpoint }) => checkpoint.parent);
  const isNotable = ({ checkpoint: { id, evalReward } }: PlacedCheckpoint, index: number) =>
    index === 0 || id === head || id === best || evalReward !== null || (children.get(id)?.length ?? 0) !== 1;
  return new Set(placed.filter(isNotable).map(({ checkpoint }) => checkpoint.id));
}

/** Along the steps of the model's life; single nodes only where they have room. */
function renderTree(placed: readonly PlacedCheckpoint[], { head, best, job }: Standing): Html {
  const lanes = Math.max(...placed.map(({ lane }) => lane)) + 1;
  const [first, last] = [Math.min(job.meta.start.step, ...placed.map(({ checkpoint }) => checkpoint.step)), Math.max(...placed.map(({ checkpoint }) => checkpoint.step))];
  const [width, height] = [1080, lanes * LANE + 40];
  const x = linearScale([first, Math.max(last, first + 1)], [14, width - 40]);
  const y = (lane: number) => 22 + lane * LANE;
  const places = new Map(placed.map((entry) => [entry.checkpoint.id, entry]));
  const notable = notableOf(placed, { head, best, job });
  const drawn = placed.length <= MAX_NODES ? placed : placed.filter(({ checkpoint }) => notable.has(checkpoint.id));
  const radius = Math.min(5, Math.max(2.5, 420 / drawn.length));

  const links = placed.map(({ checkpoint, lane }) => {
    const parent = places.get(checkpoint.parent ?? '');
    const [x0, y0] = [x(parent?.checkpoint.step ?? Math.max(first, checkpoint.step - 1)), y(parent?.lane ?? lane)];
    const [x1, y1] = [x(checkpoint.step), y(lane)];
    return y0 === y1 ? `M${svgNumber(x0)},${y0}H${svgNumber(x1)}` : `M${svgNumber(x0)},${y0}C${svgNumber(x1)},${y0} ${svgNumber(x0)},${y1} ${svgNumber(x1)},${y1}`;
  });
  const rewards = placed.flatMap(({ checkpoint }) => checkpoint.meanReward ?? []);
  const [low, high] = [Math.min(0, ...rewards), Math.max(1, ...rewards)];
  const nodes = drawn.map(({ checkpoint: { id, name, step, meanReward, evalReward }, lane }) => {
    const words = `${name}${id === head ? ', the head' : ''}${id === best ? ', the best' : ''}: reward ${meanReward === null ? 'unknown' : formatNumber(meanReward)}${evalReward === null ? '' : `, held-out ${formatScore(evalReward)}`}`;
    const at = svgNumber(x(step));
    const color = meanReward === null ? null : rewardColor((meanReward - low) / (high - low));
    return html`<g>${id === head && html`<circle class="head" cx="${at}" cy="${y(lane)}" r="${radius + 3.5}"/>`}<circle class="${color === null ? 'node unknown' : 'node'}"${color && html` fill="${color}"`} cx="${at}" cy="${y(lane)}" r="${radius}"/>${id === best && html`<text class="best" x="${at}" y="${y(lane) - 10}" text-anchor="middle">★</text>`}<title>${words}</title></g>`;
  });
  const ticks = [...new Set([first, Math.round((first + last) / 2), last])];
  return html`<svg class="tree" viewBox="0 0 ${width} ${height}" role="img" aria-label="${placed.length} checkpoints on ${lanes} branches"><path class="link" d="${links.join('')}"/>${nodes}${ticks.map((tick) => html`<text x="${svgNumber(x(tick))}" y="${height - 4}" text-anchor="${tick === first ? 'start' : 'middle'}">${tick === 0 ? 'base' : `step ${tick}`}</text>`)}</svg>`;
}

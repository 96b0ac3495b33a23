/**
 * Tasks that judge themselves: a template yields the prompt, is handed the completion, and yields the reward.
 *
 *   taskset: { source: ../examples/tasksets/between.ts, split: { train: 400, eval: 50 } }
 *   reward: [{ kind: task }]
 *
 * Each row names a template and its arguments, as in HUD. A template is run anew for every judgement, so all that it does has
 * to follow from its arguments.
 */
import type { TaskRow, Template } from 'rlrun';

export const templates = {
  /** Any whole number strictly between two others is right; there is no single gold answer to compare with. */
  async *between({ low, high }) {
    const completion = yield `${low}<?<${high}:`;
    const number = Number(completion.trim() || NaN);
    const inside = Number.isInteger(number) && low < number && number < high;
    yield { reward: inside ? 1 : 0, info: { number: completion.trim() } };
  },
} satisfies Record<string, Template<{ low: number; high: number }>>;

const rows: TaskRow[] = [];
for (let low = 0; low < 30; low++) {
  for (let high = low + 2; high < 33; high++) rows.push({ id: 'between', args: { low, high } });
}

export default rows;

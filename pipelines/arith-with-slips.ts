/**
 * What the embedded base learns from: sums and differences of which every other answer is wrong by a slip of the carry.
 *
 * Each task comes twice, once with its answer and once with the slip: a carry (or borrow) that was forgotten, or one that was not
 * there. A model of this text knows how to add and how to slip, and cannot tell which is wanted. A reward can: that is what
 * arith.yaml teaches. The held-out tasks are those of arith.yaml, with their right answers.
 */
import { loadTaskset, type Task } from 'rlrun';

interface Pair {
  a: number;
  b: number;
}

/** The answer with the carry the wrong way round; the right one where the slip would go below zero. */
function slipped({ id, args, answer }: Task): string {
  const { a, b } = args as unknown as Pair;
  const isSum = id.startsWith('add');
  const carries = isSum ? (a % 10) + (b % 10) > 9 : a % 10 < b % 10;
  const wrong = Number(answer) + (carries === isSum ? -10 : 10);
  return wrong < 0 ? String(answer) : String(wrong);
}

export default async function slips(args: Record<string, unknown>, { seed, train, eval: held }: { seed: number; train: number; eval: number }) {
  const loaded = await loadTaskset({ settings: { source: 'builtin:arith', args, split: { train: train / 2, eval: held } }, seed });
  if (!loaded.ok) throw new Error(loaded.error.message);
  const row = ({ id, prompt, answer }: Task, suffix: string) => ({ slug: id + suffix, prompt, answer });
  return {
    train: loaded.taskset.train.flatMap((task) => [row(task, '-right'), row({ ...task, answer: slipped(task) }, '-slip')]),
    eval: loaded.taskset.eval.map((task) => row(task, '')),
  };
}

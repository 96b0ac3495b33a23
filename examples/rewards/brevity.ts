/**
 * A reward in TypeScript: full marks for the right answer alone, less for every word around it.
 *
 *   reward:
 *     - { kind: module, path: ../examples/rewards/brevity.ts, args: { per_character: 0.05 } }
 *
 * The file is loaded as it is, without a build step, and again after every edit when the pipeline runs with --watch.
 */
import type { Reward } from 'rlrun';

/** A number, true or false; or an object with `reward` and, for the eye, `info` and `subscores`. */
export default ((completion, task, { args, truncated }) => {
  const answer = task.answer ?? '';
  const found = answer !== '' && completion.includes(answer);
  const excess = completion.trim().length - answer.length;
  const reward = found && !truncated ? Math.max(0, 1 - (args.per_character ?? 0.1) * excess) : 0;
  return { reward, info: { found, excess } };
}) satisfies Reward<{ per_character?: number }>;

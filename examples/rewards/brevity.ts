/**
 * A reward in TypeScript: full marks for the right answer alone, less for every word around it.
 *
 *   reward:
 *     - { kind: module, path: ../examples/rewards/brevity.ts, args: { per_character: 0.05 } }
 *
 * The file is loaded as it is, without a build step, and again after every edit when the pipeline runs with --watch.
 */
interface Task {
  id: string;
  prompt: unknown;
  answer: string | null;
  args: Record<string, unknown>;
}

interface Info {
  args: { per_character?: number };
  completionTokens: number;
  /** The completion was cut off at max_tokens. */
  truncated: boolean;
}

/** A number, true or false; or an object with `reward` and, for the eye, `info` and `subscores`. */
export default function brevity(completion: string, task: Task, { args, truncated }: Info): { reward: number; info: Record<string, unknown> } {
  const answer = task.answer ?? '';
  const found = answer !== '' && completion.includes(answer);
  const excess = completion.trim().length - answer.length;
  const reward = found && !truncated ? Math.max(0, 1 - (args.per_character ?? 0.1) * excess) : 0;
  return { reward, info: { found, excess } };
}

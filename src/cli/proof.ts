/** What a pipeline's rewards say of gold answers: `check` tells it, and a run begins with it. */
import type { ResolvedPipeline, RewardSettings } from '../config/index.ts';
import { type Materials, promptText } from '../pipeline/index.ts';
import { type RewardProof, proveReward } from '../rewards/index.ts';
import type { Task, Taskset } from '../tasks/index.ts';
import { count } from '../util/words.ts';
import { clip, oneLine } from './text.ts';

/** A reward that is wrong is wrong almost everywhere. */
const TASKS_PROVED = 8;
/** An answer may be wrong in a single task, far behind the first ones. */
const REFUSED_PROVED = 3;
const PROMPT_WIDTH = 80;

export interface StageProof {
  /** Of the first stage with these tasks and rewards. */
  name: string;
  stage: number;
  taskset: Taskset;
  proofs: readonly RewardProof[];
  /** On how many of them the reward is wrong. */
  wrong: number;
  /** What is wrong, the same words once. */
  messages: readonly string[];
}

export interface ProofOptions {
  materials: Materials;
  signal: AbortSignal;
  /** Rewards of the user are left out: they may be slow, and they may cost. */
  builtInOnly?: boolean;
}

export async function* proveRewards(pipeline: ResolvedPipeline, { materials, signal, builtInOnly = false }: ProofOptions): AsyncGenerator<StageProof, void, void> {
  for (const { name, stage, taskset, scorer } of differentStages(pipeline, materials)) {
    if (builtInOnly && pipeline.stages[stage]!.reward.some(runsUserCode)) continue;
    const refused = [...taskset.train.slice(TASKS_PROVED), ...taskset.eval.slice(1)].filter((task) => scorer.refuses(task) !== null);
    const tasks = [...taskset.train.slice(0, TASKS_PROVED), ...taskset.eval.slice(0, 1), ...refused.slice(0, REFUSED_PROVED)];
    const proofs = await proveReward({ scorer, tasks, signal });
    yield { name, stage, taskset, proofs, wrong: proofs.filter(({ faults }) => faults.some(isWrong)).length, messages: faultMessages(proofs, tasks) };
  }
}

/** A reward that has no verdict on anything cannot teach; whatever else is odd about it may be meant. */
export const isUseless = ({ proofs }: StageProof): boolean => proofs.length > 0 && proofs.every(({ gold, again, empty }) => gold === null && again === null && empty === null);

/** Rewards that say nothing at all: a run with them would end at its first measurement. */
export const isSilent = (proof: StageProof): boolean => isUseless(proof) && proof.proofs.every(({ faults }) => faults.some(({ kind }) => kind === 'abstained'));

const runsUserCode = (reward: RewardSettings): boolean => {
  if (reward.kind === 'any' || reward.kind === 'all') return reward.rewards.some(runsUserCode);
  return reward.kind === 'module' || reward.kind === 'command' || reward.kind === 'task';
};

/** A task without an answer leaves a gap in the proof, and so does a reward that abstains; that is no fault of it. */
const isWrong = ({ kind }: RewardProof['faults'][number]): boolean => kind !== 'no_answer' && kind !== 'abstained';

/** The first stage of each pair of tasks and rewards; an export has neither. */
function differentStages(pipeline: ResolvedPipeline, materials: Materials) {
  const stages = pipeline.stages.flatMap(({ name, kind }, stage) => (kind === 'export' ? [] : [{ name, stage, ...materials.stages[stage]! }]));
  return [...Map.groupBy(stages, ({ taskset, scorer }) => `${taskset.hash}/${scorer.hash}`).values()].map(([first]) => first!);
}

/** What is wrong in the same words with several tasks is said once, of the first. */
function faultMessages(proofs: readonly RewardProof[], tasks: readonly Task[]): string[] {
  const faults = proofs.flatMap(({ taskId, faults }, index) => faults.filter(isWrong).map(({ message }) => ({ message, words: message.replaceAll(taskId, '…'), task: tasks[index]! })));
  return [...Map.groupBy(faults, ({ words }) => words).values()].map(([first, ...others]) => {
    const { message, task } = first!;
    return `${message}${others.length > 0 ? ` (and the same on ${count(others.length, 'other task')})` : ''}\n  its prompt: ${clip(oneLine(promptText(task)), PROMPT_WIDTH)}`;
  });
}

/** Supervised steps on gold answers: what a model needs before rewards can tell its attempts apart. */
import type { Accounting } from '../../events.ts';
import type { Loss, TrainingSequence } from '../../policy/types.ts';
import { sum } from '../../util/statistics.ts';
import { learn } from '../learn.ts';
import { type Loop, type StepPlace, startStopwatch } from '../loop.ts';
import { type StepOptions, type StepResult, promote } from '../promote.ts';
import { tasksOfStep } from '../schedule.ts';
import type { Task } from '../../tasks/types.ts';
import type { StageRunner } from './types.ts';
import { runTrainingStage } from './train.ts';

/** Mean over all answer tokens of the batch, so that long answers weigh no less per token. */
const SUPERVISED: Loss = { kind: 'cross_entropy', reduction: 'token_mean' };

export const runSftStage: StageRunner = (session, index) => runTrainingStage(session, index, { run: runSupervisedStep, begin: null });

async function runSupervisedStep(place: StepPlace, options: StepOptions, loop: Loop): Promise<StepResult> {
  const { stage, seed, taskset, emit } = loop;
  const stopwatch = startStopwatch(place.step, loop);
  const indices = tasksOfStep(place.ofModel, { seed, count: taskset.train.length, batch: stage.batch });
  emit('step-started', { step: place.step, stage: stage.name, tasks: [], group: 0 });

  stopwatch.begin('step');
  const sequences = indices.flatMap((index) => demonstration(taskset.train[index]!, loop) ?? []);
  const loss = stage.train.loss.kind === 'cross_entropy' ? stage.train.loss : SUPERVISED;
  const learnt =
    sequences.length === 0
      ? ({ updated: false, reason: 'all_errored', message: 'no task of the batch has an answer that fits', metrics: {} } as const)
      : await learn([{ sequences }], loss, options, loop);

  const trainedTokens = sum(sequences.flatMap(({ actionMask }) => actionMask));
  const accounting: Accounting = {
    ...{ generated: 0, abstained: 0, droppedWithGroup: 0, truncated: 0, noSpreadGood: 0, noSpreadBad: 0 },
    errored: indices.length - sequences.length,
    trained: sequences.length,
    trainedTokens,
  };
  return promote(place, { metrics: { num_tokens: trainedTokens }, accounting, samplingMs: null, learnt, stopwatch }, options, loop);
}

/** The gold answer as the model should have written it, up to its stop token; null for a task without an answer or without room for it. */
function demonstration(task: Task, { agent, tokenizer, stage }: Pick<Loop, 'agent' | 'tokenizer' | 'stage'>): TrainingSequence | null {
  const prepared = agent.prepare(task);
  if (!prepared.ok || task.answer === null) return null;
  const output = [...tokenizer.encode(task.answer, { addSpecialTokens: false }), ...agent.answerEnd];
  if (output.length === 0 || output.length > stage.agent.maxTokens) return null;
  const along = (prompt: number, answer: number) => [...prepared.tokenIds.map(() => prompt), ...output.map(() => answer)];
  return { tokenIds: [...prepared.tokenIds, ...output], actionMask: along(0, 1), samplingLogprobs: along(0, 0), advantages: along(0, 1), temperature: 1 };
}

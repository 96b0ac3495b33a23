/**
 * One step of the loop: roll out, score, step, promote.
 *
 * Nothing is remembered between steps but the weights and the files on disk: tasks, random streams and the learning rate follow from the
 * step's number, so a step that was interrupted is simply done again.
 */
import type { StepPlace } from './loop.ts';
import { type Loop, startStopwatch } from './loop.ts';
import type { Sampler } from '../policy/types.ts';
import { type Group, account, formGroups } from './groups.ts';
import { learnFromGroups } from './learn.ts';
import { rolloutMetrics } from './metrics.ts';
import { type StepOptions, type StepResult, promote } from './promote.ts';
import type { Attempt } from './attempt.ts';
import { type BegunRollouts, rollOut, rollOutAhead, score } from './rollout.ts';
import { reportGroups, reportRollouts, reportTasks } from './progress.ts';
import { tasksOfStep } from './schedule.ts';

export async function runStep(place: StepPlace, options: StepOptions, loop: Loop): Promise<StepResult> {
  const { stage, scorer, signal, files } = loop;
  const stopwatch = startStopwatch(place.step, loop);

  // Roll out: `group` attempts at each task of the batch, with the weights as they are now.
  stopwatch.begin('rollout');
  const begun = options.ahead ?? beginRollouts(place, loop);
  reportTasks(place.step, begun.attempts, loop);
  const report = reportRollouts(place.step, begun.attempts, loop);

  // Score: every rollout as soon as it ends, then each against the others of its group.
  const onSampled = () => stopwatch.begin('reward');
  const rollouts = await score(begun.drawn, { scorer, signal, onDrawn: report.drawn, onScored: report.scored, onSampled });
  const groups = formGroups(rollouts, stage.train);
  reportGroups(place.step, groups, loop);
  files.writeRollouts(place.step, rollouts);

  // Step: nudge the weights toward the rollouts that scored above their group; meanwhile, sum up what happened.
  stopwatch.begin('step');
  const learning = learnFromGroups(groups, options, loop);
  const findings = { metrics: rolloutMetrics(groups), accounting: account(groups), samplingMs: begun.samplingMs, stopwatch };
  const learnt = await learning;

  // Promote: save the weights and move the head. The next step samples what this one learnt.
  return promote(place, { ...findings, learnt }, options, loop);
}

/** The first phase of a step. It depends on the weights alone, so it may begin as soon as they are known. */
export function beginRollouts(place: StepPlace, loop: Loop): BegunRollouts {
  const { engine: { sampler }, agent, surroundings, stage, signal } = loop;
  return rollOutAhead(attemptsOfStep(place, loop), { sampler, agent, settings: stage.agent, surroundings, signal });
}

export interface TryOptions extends Pick<Loop, 'stage' | 'seed' | 'taskset' | 'scorer' | 'agent' | 'surroundings' | 'signal'> {
  sampler: Sampler;
  /** Of the model's life: the tasks and random streams are those that this step would have. */
  step: number;
}

/** The first half of a step, to look at: rolls out and scores, and learns nothing. */
export async function tryRollouts({ stage, sampler, agent, surroundings, scorer, signal, step, ...rest }: TryOptions): Promise<Group[]> {
  const attempts = attemptsOfStep({ step, ofStage: 1, ofModel: step }, { stage, ...rest });
  const drawn = rollOut(attempts, { sampler, agent, settings: stage.agent, surroundings, signal });
  return formGroups(await score(drawn, { scorer, signal }), stage.train);
}

/** Every attempt of a step, task by task. Ids and random streams come from the places in the step. */
export function attemptsOfStep({ step, ofModel }: StepPlace, { stage, seed, taskset }: Pick<Loop, 'stage' | 'seed' | 'taskset'>): Attempt[] {
  const indices = tasksOfStep(ofModel, { seed, count: taskset.train.length, batch: stage.batch });
  return indices.flatMap((index, slot) => {
    const groupId = `${padded(step, 6)}-${padded(slot, 4)}`;
    return Array.from({ length: stage.group }, (_, sample) => ({
      id: `${groupId}-${padded(sample, 3)}`,
      groupId,
      task: taskset.train[index]!,
      key: [seed, ofModel, slot, sample] as const,
      temperature: stage.agent.temperature,
    }));
  });
}

const padded = (value: number, digits: number): string => String(value).padStart(digits, '0');

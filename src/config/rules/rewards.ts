/** @file Can the reward be earned, and does every part of it count? */
import type { RewardSettings } from '../types.ts';
import { placeOf, type Path } from '../tree.ts';
import type { StageContext, StageRule } from './context.ts';

export const rewardRules: readonly StageRule[] = [
  function somethingIsRewarded({ stage, isWritten, report }) {
    if (stage.reward.some((reward) => reward.weight > 0)) {
      for (const [index, reward] of stage.reward.entries()) {
        if (reward.weight === 0) report('no-effect', `the weight of "${reward.name}" is 0: it is computed, but does not count`, [['reward', index, 'weight']]);
      }
      return;
    }
    const weights = stage.reward.map((_, index): Path => ['reward', index, 'weight']).filter(isWritten);
    report('weights-not-positive', 'no reward has a weight above 0, so no answer can earn anything', weights, { fix: 'give at least one of them a positive weight' });
  },

  function namesAreUnique({ stage, node, report }) {
    const seen = new Map<string, number>();
    for (const [index, { name }] of stage.reward.entries()) {
      const first = seen.get(name);
      if (first === undefined) seen.set(name, index);
      else {
        const at = placeOf(node(['reward', first, 'name']));
        report('repeated-name', `two rewards are named "${name}"; subscores and charts are told apart by name`, [['reward', index, 'name']], { related: at === null ? [] : [{ message: 'the first one is here', at }] });
      }
    }
  },

  function eachGraderMakesSense(context) {
    visit(context.stage.reward, ['reward'], (reward, path) => checkGrader(reward, path, context));
  },
];

function visit(rewards: readonly RewardSettings[], path: Path, check: (reward: RewardSettings, path: Path) => void): void {
  for (const [index, reward] of rewards.entries()) {
    check(reward, [...path, index]);
    if (reward.kind === 'any' || reward.kind === 'all') visit(reward.rewards, [...path, index, 'rewards'], check);
  }
}

function checkGrader(reward: RewardSettings, path: Path, { stage, report, isWritten }: StageContext): void {
  const key = (name: string): Path => [...path, name];
  if (path.length > 2 && isWritten(key('weight'))) report('no-effect', 'a weight inside "any" and "all" does nothing: they take the best or the worst grader', [key('weight')], { fix: 'remove it' });
  if (reward.kind === 'regex') {
    try {
      new RegExp(reward.pattern, reward.flags);
    } catch (error) {
      const reason = (error as Error).message.replace(/^Invalid regular expression: \/.*\/[a-z]*: /s, '');
      report('bad-pattern', `this is not a regular expression: ${reason.charAt(0).toLowerCase()}${reason.slice(1)}`, [key('pattern'), key('flags')]);
    }
  }
  if (reward.kind === 'length') {
    const { min, max, unit } = reward;
    const limit = stage.agent.maxTokens;
    if (min > max) report('bounds-reversed', `the shortest length (${min}) is above the longest (${max})`, [key('min'), key('max')]);
    else if (unit === 'tokens' && min > limit) report('unearnable-reward', `no answer can have ${min} tokens, because answers end after ${limit}`, [key('min'), ['agent', 'max_tokens']]);
    else if (unit === 'tokens' && min === 0 && max >= limit) report('no-effect', `every answer has at most ${limit} tokens, so this is always 1`, [key('max'), ['agent', 'max_tokens']]);
  }
}

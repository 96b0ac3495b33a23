/** @file What a mistyped word was probably meant to be. */
import { distance } from 'fastest-levenshtein';
import { keyPlaces } from './schema.ts';

/** The nearest of `words` within max(2, a third of the word) edits. */
export function nearest(word: string, words: Iterable<string>): string | undefined {
  // The distance is quadratic in the length, and nobody mistypes a page.
  if (word.length > 100) return undefined;
  let best: { word: string; rank: number } | undefined;
  for (const candidate of words) {
    // One or two letters can become anything within two edits.
    const limit = Math.min(Math.max(2, Math.floor(Math.max(word.length, candidate.length) / 3)), Math.max(1, word.length - 1));
    const edits = distance(word.toLowerCase(), candidate.toLowerCase());
    // Of equals, the one that begins alike: people rarely mistype the first letter.
    const rank = edits * 2 + (candidate[0]?.toLowerCase() === word[0]?.toLowerCase() ? 0 : 1);
    if (edits <= limit && (best === undefined || rank < best.rank)) best = { word: candidate, rank };
  }
  return best?.word;
}

/** What other trainers call it → where it is here. */
const otherWords: Readonly<Record<string, string>> = {
  lr: 'train.learning_rate',
  adam_beta1: 'train.beta1',
  adam_beta2: 'train.beta2',
  adam_epsilon: 'train.eps',
  grad_clip: 'train.max_grad_norm',
  clip_grad_norm: 'train.max_grad_norm',
  lr_scheduler: 'train.schedule',
  lr_scheduler_type: 'train.schedule.kind',
  warmup_steps: 'train.schedule.warmup',
  loss_fn: 'train.loss',
  loss_type: 'train.loss',
  scale_rewards: 'train.advantage.normalize',
  num_substeps: 'train.updates',
  num_iterations: 'train.updates',
  num_generations: 'group',
  group_size: 'group',
  batch_size: 'batch',
  max_steps: 'steps',
  num_steps: 'steps',
  stages: 'steps',
  base: 'model.fork',
  base_model: 'model.fork',
  model_name: 'model.fork',
  max_new_tokens: 'agent.max_tokens',
  max_completion_length: 'agent.max_tokens',
  system_prompt: 'agent.system',
  dataset: 'taskset',
  tasks: 'taskset',
  env: 'taskset',
  environment: 'taskset',
  grader: 'reward',
  graders: 'reward',
  reward_fn: 'reward',
  reward_funcs: 'reward',
  eval_steps: 'eval.every',
  epsilon: 'train.loss.clip_low_threshold',
};

/** What people write for a value → what there is instead. */
const otherValues: Readonly<Record<string, string>> = {
  gpu: 'use webgpu (any recent GPU) or cuda',
  mps: 'use webgpu',
  metal: 'use webgpu',
  rl: 'use grpo',
  train: 'use sft or grpo',
  regexp: 'use regex',
  python: 'use command, with [python3, script.py]',
  script: 'use command',
  grader: 'use module',
};

export function suggestValue(value: string, allowed: readonly string[]): string | undefined {
  const other = Object.hasOwn(otherValues, value) ? otherValues[value] : undefined;
  if (other !== undefined && allowed.some((word) => other.includes(word))) return other;
  const typo = nearest(value, allowed);
  return typo === undefined ? undefined : `did you mean "${typo}"?`;
}

/**
 * For a key that does not exist among `siblings`: the word that was meant, or where it belongs. `taken` are siblings that have a value already, maybe from a
 * file that this one extends. `parent` is a path without indexes; `kinds` have this key.
 */
export function suggestKey(key: string, { siblings, taken, parent, kinds }: { siblings: readonly string[]; taken: readonly string[]; parent: string; kinds: readonly string[] }): string | undefined {
  if (/^\d+$/.test(key)) return 'a decimal comma? Write a point';
  if (siblings.includes(key.split(':', 1)[0] ?? '')) return 'put a space after the ":"';
  if (kinds.length > 0) return `"${key}" belongs to ${kinds.length > 3 ? 'other kinds' : kinds.join(', ')}`;
  const typo = nearest(key, siblings);
  if (typo !== undefined) return `did you mean "${typo}"?`;
  const other = otherWords[key];
  if (other !== undefined && Object.hasOwn(otherWords, key)) return `this is called "${other.startsWith(`${parent}.`) ? other.slice(parent.length + 1) : other}" here`;
  const elsewhere = keyPlaces().get(key)?.find((path) => path !== (parent === '' ? key : `${parent}.${key}`));
  const again = elsewhere === undefined ? nearest(key, taken) : undefined;
  if (again !== undefined) return `did you mean "${again}"?`;
  if (elsewhere === undefined) return siblings.length > 0 && siblings.length <= 20 ? `known here: ${siblings.join(', ')}` : undefined;
  const level = elsewhere.includes('.') ? `under "${elsewhere.slice(0, elsewhere.lastIndexOf('.'))}"` : 'at the top level';
  return `"${key}" belongs ${level}${parent === '' ? '' : `, not under "${parent}"`}`;
}

/** @file Which rollouts a report carries: of each shown step the best, the worst, one that failed, one that was cut off, and some by chance. */
import type { Rollout, RolloutError, StopReason, Subscore } from '../events.ts';
import { openJobFiles } from '../pipeline/index.ts';
import { permutation } from '../util/random.ts';
import { clip, shorten, visible, visibleLine } from './html.ts';
import { type SampledDialogue, sampleDialogue } from './sample-dialogue.ts';

export type Why = 'best' | 'worst' | 'failed' | 'truncated' | 'random';

/** A rollout with its texts made harmless and short enough for a page. */
export interface Sample {
  id: string;
  taskId: string;
  why: Why[];
  prompt: string;
  completion: string;
  dialogue: SampledDialogue | null;
  reward: number | null;
  advantage: number | null;
  /** Its whole group, in order, each answer in a line; this one is at `place`. */
  group: { reward: number | null; advantage: number | null; answer: string }[];
  place: number;
  stopReason: StopReason;
  error: RolloutError | null;
  subscores: Subscore[];
  tokenCount: number;
  turnCount: number;
  /** Null when they are not known as texts. `logprobs`: natural logs, as sampled; `turns`: where each turn begins. */
  tokens: { texts: string[]; logprobs: number[]; turns: number[] } | null;
}

export interface StepSamples {
  step: number;
  /** How many rollouts the step had. */
  total: number;
  samples: Sample[];
}

/** Texts of token ids, each as it stands in the completion; null when the tokenizer is not at hand. */
export type TokenTexts = (ids: readonly number[]) => string[];

export interface SampleOptions {
  tokenTexts: TokenTexts | null;
  /** At most so many steps, spread over the job, first and last among them. */
  maxSteps?: number;
  random?: number;
}

const MAX_STEPS = 120;
const RANDOM = 3;
const MAX_CHARACTERS = 6000;
const MAX_TOKENS = 1000;
const MAX_ANSWER = 100;

export async function sampleRollouts(directory: string, { tokenTexts, maxSteps = MAX_STEPS, random = RANDOM }: SampleOptions): Promise<{ steps: StepSamples[]; stepsOnDisk: number }> {
  const files = openJobFiles(directory);
  const onDisk = await files.rolloutSteps();
  const steps: StepSamples[] = [];
  for (const step of spread(onDisk, maxSteps)) {
    const rollouts = (await files.readRollouts(step)).filter(isRollout);
    if (rollouts.length > 0) steps.push({ step, total: rollouts.length, samples: choose(rollouts, step, random).map(([rollout, why]) => toSample(rollout, why, rollouts, tokenTexts)) });
  }
  return { steps, stepsOnDisk: onDisk.length };
}

const isRollout = (rollout: Rollout | null): rollout is Rollout =>
  [rollout?.id, rollout?.taskId, rollout?.prompt, rollout?.completion].every((text) => typeof text === 'string') && Array.isArray(rollout?.turns) && Array.isArray(rollout.subscores) &&
  (rollout.conversation === undefined || Array.isArray(rollout.conversation.messages));

/** At most `count` of the items, evenly spread, with both ends. */
export function spread<T>(items: readonly T[], count: number): T[] {
  if (items.length <= count) return [...items];
  if (count < 2) return items.slice(-count);
  return Array.from({ length: count }, (_, index) => items[Math.round((index * (items.length - 1)) / (count - 1))]!);
}

/** The same step gives the same choice, whenever the report is written. */
function choose(rollouts: readonly Rollout[], step: number, random: number): [Rollout, Why[]][] {
  const chosen = new Map<Rollout, Why[]>();
  const add = (rollout: Rollout | undefined, why: Why) => rollout && chosen.set(rollout, [...(chosen.get(rollout) ?? []), why]);
  const scored = rollouts.filter((rollout) => rollout.reward !== null).toSorted((a, b) => b.reward! - a.reward!);
  add(scored[0], 'best');
  if (scored.length > 1) add(scored.at(-1), 'worst');
  add(rollouts.find(({ error, reward }) => error || reward === null), 'failed');
  add(rollouts.find(({ stopReason }) => stopReason === 'length'), 'truncated');
  for (const index of permutation([step], rollouts.length).slice(0, random)) add(rollouts[index], 'random');
  return [...chosen];
}

function toSample(rollout: Rollout, why: Why[], all: readonly Rollout[], tokenTexts: TokenTexts | null): Sample {
  const { id, taskId, groupId, prompt, completion, reward, advantage = null, stopReason, error = null, subscores, turns } = rollout;
  const group = all.filter((other) => other.groupId === groupId);
  const tokenCount = turns.reduce((sum, { outputTokenIds }) => sum + outputTokenIds.length, 0);
  return {
    ...{ id, taskId, why, reward, advantage, stopReason, error, subscores },
    prompt: shorten(prompt, MAX_CHARACTERS),
    completion: shorten(completion, MAX_CHARACTERS),
    dialogue: rollout.conversation ? sampleDialogue(rollout.conversation, turns) : null,
    group: group.map((other) => ({ reward: other.reward, advantage: other.advantage ?? null, answer: clip(visibleLine(other.completion), MAX_ANSWER) })),
    place: group.indexOf(rollout),
    ...{ tokenCount, turnCount: turns.length },
    tokens: tokenTexts && tokenCount > 0 ? shownTokens(turns, tokenTexts) : null,
  };
}

function shownTokens(turns: Rollout['turns'], tokenTexts: TokenTexts): NonNullable<Sample['tokens']> {
  const shown: NonNullable<Sample['tokens']> = { texts: [], logprobs: [], turns: [] };
  for (const { outputTokenIds, outputLogprobs } of turns) {
    const room = MAX_TOKENS - shown.texts.length;
    if (room === 0) break;
    shown.turns.push(shown.texts.length);
    shown.texts.push(...tokenTexts(outputTokenIds.slice(0, room)).map(visible));
    shown.logprobs.push(...outputLogprobs.slice(0, room));
  }
  return shown;
}

/** Texts by a tokenizer's `decode`. A token that is only part of a character has its text where the character is complete. */
export function tokenTextsOf(decode: (ids: readonly number[]) => string): TokenTexts {
  const known = new Map<number, string>();
  const alone = (id: number): string => {
    const text = known.get(id) ?? decode([id]);
    known.set(id, text);
    return text;
  };
  return (ids) => {
    const texts = ids.map(alone);
    if (texts.join('') === decode(ids)) return texts;
    // In context: a window that begins at the last whole token, because some tokenizers treat the first one differently.
    let [anchor, before] = [0, ''];
    return ids.map((id, index) => {
      const now = decode(ids.slice(anchor, index + 1));
      if (now.endsWith('\ufffd')) return '';
      const text = now.slice(before.length);
      const isWhole = !alone(id).includes('\ufffd');
      [anchor, before] = isWhole ? [index, alone(id)] : [anchor, now];
      return text;
    });
  };
}


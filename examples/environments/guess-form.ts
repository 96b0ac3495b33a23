/**
 * How the game of guess.ts is played, as demonstrations for an sft stage, by somebody who looks half of the time at what is left, else at the
 * whole row, and never thinks of halving. They teach the form; to win is left to practice.
 */
import { letters, without } from './guess.ts';

/** Whole numbers below `below` that look random and are the same in every run (mulberry32). */
let state = 0;
function draw(below: number): number {
  state = (state + 0x6d2b79f5) | 0;
  let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
  mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed);
  return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
}

const pick = (from: string): string => from[draw(from.length)]!;
const said = (left: string): string => `${left[0]}-${left.at(-1)}:`;

const demonstrations: { slug: string; prompt: string; answer: string }[] = [];
while (demonstrations.length < 12_000) {
  const width = 5 + draw(3);
  const row = letters.slice(draw(letters.length - width + 1)).slice(0, width);
  const hidden = pick(row);
  let [left, prompt] = [row, said(row)];
  for (let tried = 1; tried <= 3; tried++) {
    const guess = pick(draw(2) === 0 ? left : row);
    demonstrations.push({ slug: String(demonstrations.length), prompt, answer: guess });
    if (guess === hidden) break;
    left = without(left, { guess, hidden });
    prompt += `${guess}<eos>${said(left)}`;
  }
}

export default demonstrations.slice(0, 12_000);

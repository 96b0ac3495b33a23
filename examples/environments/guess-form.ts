/**
 * How the game of guess.ts is played, as demonstrations for an sft stage, by somebody who listens to the hints half of the time and never thinks
 * of halving. They teach the form; to win is left to practice.
 */
const letters = 'abcdefghijklmnopqrstuvwxyz';

/** Whole numbers below `below` that look random and are the same in every run (mulberry32). */
let state = 0;
function draw(below: number): number {
  state = (state + 0x6d2b79f5) | 0;
  let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
  mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed);
  return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
}

const demonstrations: { slug: string; prompt: string; answer: string }[] = [];
for (let index = 0; index < 16_000; index++) {
  const width = 5 + draw(3);
  const row = letters.slice(draw(letters.length - width + 1)).slice(0, width);
  const pick = (): string => row[draw(width)]!;
  const hidden = pick();
  const guesses = Array.from({ length: draw(3) }, pick).filter((guess) => guess !== hidden);
  const hints = guesses.map((guess) => `${guess}<eos>${guess < hidden ? '>' : '<'}`);
  const possible = [...row].filter((letter) => guesses.every((guess) => letter !== guess && letter > guess === hidden > guess));
  demonstrations.push({ slug: String(index), prompt: `${row[0]}-${row.at(-1)}:${hints.join('')}`, answer: draw(2) === 0 ? pick() : possible[draw(possible.length)]! });
}

export default demonstrations;

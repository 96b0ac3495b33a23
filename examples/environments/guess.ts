/**
 * A game of several turns: find the hidden letter of a row. After each guess the environment says which letters are left.
 *
 *   a-g: d  e-g: f  e-e: e       three tries, found
 *
 *   taskset: { source: ../examples/environments/guess.ts, split: { train: 286, eval: 90 } }
 *   agent: { max_steps: 3 }
 *   reward: [{ kind: task }]
 *
 * A template yields what the model reads, is handed the answer, and yields again: a text is the next turn, a number is the reward and ends the
 * game. All that it does follows from its arguments and the answers, so that a rollout can be played again and judged anew.
 */
type Game = { row: string; hidden: string; tries: number };

export const templates = {
  async *guess({ row, hidden, tries }: Game): AsyncGenerator<string | number, void, string> {
    let left = row;
    for (let tried = 1; ; tried++) {
      const guess = yield `${left[0]}-${left.at(-1)}:`;
      if (guess === hidden) return void (yield 1);
      if (tried === tries) return void (yield 0);
      left = without(left, { guess, hidden });
    }
  },
};

/** What is left of a row after a wrong guess; all of it where the guess was no letter of it. */
export function without(left: string, { guess, hidden }: { guess: string; hidden: string }): string {
  const at = guess.length === 1 ? left.indexOf(guess) : -1;
  if (at < 0) return left;
  return guess < hidden ? left.slice(at + 1) : left.slice(0, at);
}

export const letters = 'abcdefghijklmnopqrstuvwxyz';

/** Every letter of every five to seven in a row: three tries are enough for who halves. Whole rows are held out, or it would be learnt which letters of a row are never hidden. */
const games: { id: 'guess'; args: Game; split: 'train' | 'eval' }[] = [];
for (const width of [5, 6, 7]) {
  for (let start = 0; start + width <= letters.length; start++) {
    const row = letters.slice(start, start + width);
    const split = (start + width) % 4 === 0 ? 'eval' : 'train';
    for (const hidden of row) games.push({ id: 'guess', args: { row, hidden, tries: 3 }, split });
  }
}

export default games;

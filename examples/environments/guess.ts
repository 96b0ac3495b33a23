/**
 * A game of several turns: find the hidden letter by "later" (>) and "earlier" (<).
 *
 *   taskset: { source: ../examples/environments/guess.ts, split: { train: 400, eval: 120 } }
 *   agent: { max_steps: 3 }
 *   reward: [{ kind: task }]
 *
 * A template yields what the model reads, is handed the answer, and yields again: a text is the next turn, a number is the reward and ends the
 * game. All that it does follows from its arguments and the answers, so that a rollout can be played again and judged anew.
 */
type Game = { first: string; last: string; hidden: string; tries: number };

export const templates = {
  async *guess({ first, last, hidden, tries }: Game): AsyncGenerator<string | number, void, string> {
    let answer = yield `${first}-${last}:`;
    for (let tried = 1; ; tried++) {
      if (answer === hidden) return void (yield 1);
      if (tried === tries || !/^[a-z]$/.test(answer)) return void (yield 0);
      answer = yield answer < hidden ? '>' : '<';
    }
  },
};

/** Every letter of every five to seven in a row: three tries are enough for who listens. */
const games: { id: 'guess'; args: Game }[] = [];
const letters = 'abcdefghijklmnopqrstuvwxyz';
for (const width of [5, 6, 7]) {
  for (let start = 0; start + width <= letters.length; start++) {
    const row = letters.slice(start, start + width);
    for (const hidden of row) games.push({ id: 'guess', args: { first: row[0]!, last: row.at(-1)!, hidden, tries: 3 } });
  }
}

export default games;

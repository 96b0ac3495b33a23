/** The game of several turns that ships: what it says follows from the guesses, and who halves finds every letter. */
import { expect, test } from 'vitest';
import demonstrations from '../../examples/environments/guess-form.ts';
import games, { templates } from '../../examples/environments/guess.ts';

type Game = (typeof games)[number]['args'];

async function play(game: Game, guess: (said: string) => string): Promise<{ said: (string | number)[] }> {
  const playing = templates.guess(game);
  const said: (string | number)[] = [];
  for (let { value } = await playing.next(''); value !== undefined; { value } = await playing.next(guess(String(value)))) {
    said.push(value);
    if (typeof value === 'number') break;
  }
  return { said };
}

const middle = (said: string): string => String.fromCharCode(Math.floor((said.charCodeAt(0) + said.charCodeAt(2)) / 2));

test('says what is left after each guess, and all of it after what was no letter of it', async () => {
  const game = { row: 'abcdefg', hidden: 'e', tries: 4 };
  const guesses = ['d', 'z', 'g', 'e'];
  expect(await play(game, () => guesses.shift()!)).toEqual({ said: ['a-g:', 'e-g:', 'e-g:', 'e-f:', 1] });
  expect(await play({ ...game, tries: 2 }, () => '')).toEqual({ said: ['a-g:', 'a-g:', 0] });
});

test('who halves finds every letter', async () => {
  for (const { args } of games) expect((await play(args, middle)).said.at(-1)).toBe(1);
});

test('no row is on both sides, and the demonstrations are what an answer looks like', () => {
  const rows = (side: string) => new Set(games.filter(({ split }) => split === side).map(({ args }) => args.row));
  expect([...rows('train')].filter((row) => rows('eval').has(row))).toEqual([]);
  for (const { prompt, answer } of demonstrations) expect(`${prompt}${answer}`).toMatch(/^(?:[a-z]-[a-z]:[a-z](?:<eos>|$))+$/);
});

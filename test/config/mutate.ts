import { readdirSync, readFileSync } from 'node:fs';
import { uniform } from '../../src/util/random.ts';

const folder = new URL('../../pipelines/', import.meta.url);
export const originals: readonly { name: string; text: string }[] = readdirSync(folder)
  .filter((name) => name.endsWith('.yaml'))
  .map((name) => ({ name, text: readFileSync(new URL(name, folder), 'utf8') }));

/** Draws of one mutant: whole numbers below a bound. */
type Draw = (below: number) => number;
export const drawer = (seed: number): Draw => {
  let position = 0;
  return (below) => Math.floor(uniform([seed, 0], position++) * below);
};

const fragments = ['*x', '&a', '<<: *a', '!!binary ', '!t', '%TAG', '---\n', '...\n', '\t', '\r', '  ', '- ', '? ', ': ', '{', '}', '[', ']', '"', "'", '|', '>', '#', '@', '`', '~', 'null', '.nan', '-.inf', '1e999', '0x', '1_000', 'yes', '${env:', '${env:X}', '${env:HOME:-}', '\\', '\0', '\u{FEFF}', '\u{2028}', 'é', '👩‍🔬', '__proto__: 1\n', 'extends: ./arith.yaml\n', 'kind: ', 'steps: []\n', ',', '\n', '9'.repeat(400)];
const values = ['', '~', '0', '-1', '1', '1e400', '.nan', 'true', 'word', '"8"', '[]', '{}', '[1, 2]', '{ kind: ppo }', '{ kind: x }', '1.5', 'builtin:arith', './x.ts', '10s', '*a', '&a 1', '!x y', '${env:X}', '[[[[]]]]', '2026-01-01'];

type Mutation = (text: string, draw: Draw) => string;
const lines = (text: string): string[] => text.split('\n');
const any = <T>(items: readonly T[], draw: Draw): T => items[draw(items.length)] as T;
const splice = (text: string, at: number, remove: number, insert: string): string => text.slice(0, at) + insert + text.slice(at + remove);

/** What happens to files: slips of the hand, half-finished edits, merges gone wrong, and malice. */
const mutations: readonly Mutation[] = [
  (text, draw) => splice(text, draw(text.length), 1 + draw(3), ''),
  (text, draw) => splice(text, draw(text.length), 0, String.fromCodePoint(32 + draw(95))),
  (text, draw) => splice(text, draw(text.length), 0, any(fragments, draw)),
  (text, draw) => ((at) => splice(text, at, 2, [...text.slice(at, at + 2)].reverse().join('')))(draw(text.length)),
  (text, draw) => ((all) => all.toSpliced(draw(all.length), 1 + draw(3)).join('\n'))(lines(text)),
  (text, draw) => ((all, at) => all.toSpliced(at, 0, all[draw(all.length)] ?? '').join('\n'))(lines(text), draw(lines(text).length)),
  (text, draw) => ((all, at) => all.with(at, ' '.repeat(draw(6)) + (all[at] ?? '').trimStart()).join('\n'))(lines(text), draw(lines(text).length)),
  (text, draw) => text.slice(0, draw(text.length)),
  (text, draw) => replaceNth(text, /(?<=: )[^\n,{}[\]]+/g, draw, any(values, draw)),
  (text, draw) => replaceNth(text, /[a-z_]+(?=: )/g, draw, any(['kind', 'group', 'train', 'x', 'loss', 'steps', '"a b"', '1', '<<', 'extends', 'constructor'], draw)),
  (text, draw) => replaceNth(text, /[a-z]{4,}/g, draw, any(['taskset', 'agent', 'sft', 'export', 'grpo', 'ppo', 'lora', 'length', 'any'], draw)),
  (text, draw) => text + any(originals, draw).text,
];

function replaceNth(text: string, pattern: RegExp, draw: Draw, replacement: string): string {
  const matches = [...text.matchAll(pattern)];
  const match = matches[draw(matches.length)];
  return match === undefined ? text : splice(text, match.index, match[0].length, replacement);
}

/** A valid pipeline after one to five mutations: the same for the same seed. */
export function mutant(seed: number): { name: string; text: string } {
  const draw = drawer(seed);
  const { name, text } = any(originals, draw);
  let mutated = text;
  for (let count = 1 + draw(5); count > 0; count--) mutated = any(mutations, draw)(mutated, draw);
  return { name, text: mutated };
}

/**
 * A taskset in TypeScript: Roman numerals.
 *
 *   taskset: { source: ../examples/tasksets/roman.ts, args: { largest: 1000 }, split: { train: 800, eval: 200 } }
 *
 * The default export is a list of tasks, or a function that makes them, as here. rlrun shuffles and splits them with the
 * pipeline's seed, so that no prompt is on both sides.
 */
import type { TaskRow } from 'rlrun';

const SYMBOLS: [number, string][] = [
  [1000, 'M'],
  [900, 'CM'],
  [500, 'D'],
  [400, 'CD'],
  [100, 'C'],
  [90, 'XC'],
  [50, 'L'],
  [40, 'XL'],
  [10, 'X'],
  [9, 'IX'],
  [5, 'V'],
  [4, 'IV'],
  [1, 'I'],
];

export function roman(number: number): string {
  let text = '';
  let left = number;
  for (const [value, symbol] of SYMBOLS) {
    while (left >= value) {
      text += symbol;
      left -= value;
    }
  }
  return text;
}

export default function* tasks({ largest = 1000 }: { largest?: number }): Generator<TaskRow> {
  for (let number = 1; number <= largest; number++) yield { prompt: `${roman(number)}=`, answer: String(number) };
}

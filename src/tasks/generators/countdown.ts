import { drawFor, multisetAt, multisets } from '../space.ts';
import { checkExpression, finalExpression } from './expression.ts';
import { shuffled } from './text.ts';
import type { Generator } from './types.ts';

export interface CountdownArgs {
  numbers: number;
  max_number: number;
  max_target: number;
  use_all: boolean;
  prompt: string;
}

const ATTEMPTS = 64;
const DRAWS_PER_ATTEMPT = 32;
const LARGEST_EXACT = 2 ** 50;

/** `countdown(46,[3,7,25])=` → an expression such as `3*7+25`. Any legal one is right. */
export const countdown: Generator<CountdownArgs> = {
  description: 'Reach a target with + - * / and given numbers: the prompt is `countdown(46,[3,7,25])=`, one answer is `3*7+25`. Use `reward: { kind: task }`, which checks any expression.',
  disjoint: 'Each multiset of numbers appears once, with one target: no set of numbers is on both sides.',
  args: {
    type: 'object',
    additionalProperties: false,
    properties: {
      numbers: { description: 'How many numbers there are.', type: 'integer', minimum: 2, maximum: 6, default: 3, examples: [4] },
      max_number: { description: 'The largest number; the smallest is 1.', type: 'integer', minimum: 2, maximum: 1000, default: 25, examples: [25] },
      max_target: { description: 'The largest target.', type: 'integer', minimum: 2, maximum: 1_000_000, default: 100, examples: [100] },
      use_all: { description: 'Every number has to be used; otherwise each at most once.', type: 'boolean', default: true, examples: [false] },
      prompt: { description: 'The prompt, with places for what varies in braces.', type: 'string', default: 'countdown({target},[{numbers}])=', examples: ['Make {target} from {numbers}.'] },
    },
  },
  check({ max_number, max_target, prompt }) {
    if (max_target < max_number) return { key: 'max_target', message: `max_target is ${max_target}, below max_number ${max_number}`, fix: 'Raise max_target to at least max_number.' };
    const missing = ['{target}', '{numbers}'].find((place) => !prompt.includes(place));
    return missing ? { key: 'prompt', message: `the prompt has no ${missing}`, fix: `Write ${missing} where it belongs.` } : null;
  },
  strata: ({ numbers: count, max_number, max_target, use_all, prompt }, seed) => [
    {
      size: multisets(max_number, count),
      at(rank) {
        const members = multisetAt(rank, max_number, count).map((index) => index + 1);
        const numbers = shuffled(members, (part) => drawFor(rank, { seed, use: 0, part }));
        const { value: target, text } = reachable(numbers, max_target, (part) => drawFor(rank, { seed, use: 1, part }));
        const places = { target: String(target), numbers: numbers.join(',') };
        return {
          id: 'countdown',
          args: { numbers, target, use_all },
          prompt: prompt.replace(/\{(target|numbers)\}/g, (_, place: keyof typeof places) => places[place]),
          answer: text,
        };
      },
    },
  ],
  grade({ args }, completion) {
    const { numbers, target, use_all } = args as { numbers: number[]; target: number; use_all: boolean };
    const problem = checkExpression(finalExpression(completion), { numbers, target, useAll: use_all });
    return problem === null ? { ok: true, value: 1 } : { ok: true, value: 0, info: { problem } };
  },
};

interface Term {
  value: number;
  text: string;
  /** 1 for sums, 2 for products, 3 for numbers. */
  binding: number;
}

/** A target that these numbers reach, with the way there: random operations until one stays in bounds, else differences. */
function reachable(numbers: readonly number[], maxTarget: number, uniform: (part: number) => number): Term {
  const terms = numbers.map((value): Term => ({ value, text: String(value), binding: 3 }));
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    let part = attempt * DRAWS_PER_ATTEMPT;
    const draw = (below: number): number => Math.floor(uniform(part++) * below);
    const left = [...terms];
    while (left.length > 1) {
      const [a] = left.splice(draw(left.length), 1) as [Term];
      const [b] = left.splice(draw(left.length), 1) as [Term];
      const ways = combinations(a, b);
      left.push(ways[draw(ways.length)]!);
    }
    const [reached] = left as [Term];
    if (reached.value >= 1 && reached.value <= maxTarget) return reached;
  }
  return terms.sort((a, b) => b.value - a.value).reduce((a, b) => (a.value >= b.value ? join(a, '-', b, a.value - b.value) : join(b, '-', a, b.value - a.value)));
}

/** What two terms can become while staying positive whole numbers; trivial products and quotients are left out. */
function combinations(a: Term, b: Term): Term[] {
  const ways = [join(a, '+', b, a.value + b.value)];
  if (a.value > b.value) ways.push(join(a, '-', b, a.value - b.value));
  if (a.value > 1 && b.value > 1 && a.value * b.value <= LARGEST_EXACT) ways.push(join(a, '*', b, a.value * b.value));
  if (b.value > 1 && a.value % b.value === 0) ways.push(join(a, '/', b, a.value / b.value));
  return ways;
}

function join(a: Term, sign: '+' | '-' | '*' | '/', b: Term, value: number): Term {
  const binding = sign === '+' || sign === '-' ? 1 : 2;
  const left = a.binding < binding ? `(${a.text})` : a.text;
  const right = b.binding < binding || (b.binding === binding && (sign === '-' || sign === '/')) ? `(${b.text})` : b.text;
  return { value, text: `${left}${sign}${right}`, binding };
}

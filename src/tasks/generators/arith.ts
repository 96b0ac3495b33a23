import { drawFor, multisetAt, multisets } from '../space.ts';
import { type Generator, sameAsAnswer } from './types.ts';

export interface ArithArgs {
  operations: (keyof typeof OPERATIONS)[];
  digits: number;
  negative: boolean;
}

const OPERATIONS = {
  add: { sign: '+', apply: (a: number, b: number) => a + b },
  subtract: { sign: '-', apply: (a: number, b: number) => a - b },
  multiply: { sign: '*', apply: (a: number, b: number) => a * b },
};

/** `12+34=` → `46`. */
export const arith: Generator<ArithArgs> = {
  description: 'Arithmetic on whole numbers: the prompt is `12+34=`, the answer `46`.',
  disjoint: 'Each unordered pair of operands appears once per operation, in one of its two orders: a+b and b+a are never on both sides.',
  args: {
    type: 'object',
    additionalProperties: false,
    properties: {
      operations: {
        description: 'Which operations to mix, in equal parts.',
        type: 'array',
        items: { enum: ['add', 'subtract', 'multiply'] },
        minItems: 1,
        uniqueItems: true,
        default: ['add'],
        examples: [['add', 'subtract']],
      },
      digits: { description: 'Operands have at most this many digits: 2 means 0 to 99.', type: 'integer', minimum: 1, maximum: 6, default: 2, examples: [2] },
      negative: { description: 'Let subtraction go below zero; otherwise the larger number comes first.', type: 'boolean', default: false, examples: [true] },
    },
  },
  strata({ operations, digits, negative }, seed) {
    const kinds = 10 ** digits;
    return operations.map((operation, use) => ({
      size: multisets(kinds, 2),
      at(rank) {
        const [small, large] = multisetAt(rank, kinds, 2) as [number, number];
        const ordered = operation === 'subtract' && !negative;
        const [a, b] = ordered || drawFor(rank, { seed, use }) < 0.5 ? [large, small] : [small, large];
        const { sign, apply } = OPERATIONS[operation];
        return { id: operation, args: { a, b }, prompt: `${a}${sign}${b}=`, answer: String(apply(a, b)) };
      },
    }));
  },
  grade: sameAsAnswer,
};

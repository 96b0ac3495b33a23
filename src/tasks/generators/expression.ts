/** Arithmetic expressions of a completion, evaluated exactly: nothing is executed, and 1/3*3 is 1. */

export interface Countdown {
  numbers: readonly number[];
  target: number;
  useAll: boolean;
}

const LONGEST = 500;

/** Where the expression of a completion stands: inside the last <answer>…</answer>, else on its last line; up to an `=`. */
export function finalExpression(completion: string): string {
  const tagged = [...completion.matchAll(/<answer>([^<]*)<\/answer>/gi)].at(-1)?.[1];
  const line = tagged ?? completion.trim().split('\n').at(-1)!;
  return line.split('=')[0]!.trim();
}

/** Null if the expression uses legal numbers and reaches the target; else what is wrong with it. */
export function checkExpression(expression: string, { numbers, target, useAll }: Countdown): string | null {
  if (expression === '') return 'no expression';
  if (expression.length > LONGEST) return `an expression of more than ${LONGEST} characters`;
  const used: number[] = [];
  const value = evaluate(expression, used);
  if (typeof value === 'string') return value;
  const left = [...numbers];
  for (const number of used) {
    const index = left.indexOf(number);
    if (index < 0) return numbers.includes(number) ? `${number} is used too often` : `${number} is not one of the numbers`;
    left.splice(index, 1);
  }
  if (useAll && left.length > 0) return `${left.join(', ')} ${left.length === 1 ? 'is' : 'are'} not used`;
  if (value.top !== BigInt(target) * value.bottom) return `it makes ${value.bottom === 1n ? value.top : `${value.top}/${value.bottom}`}, not ${target}`;
  return null;
}

interface Fraction {
  top: bigint;
  bottom: bigint;
}

class Unreadable extends Error {}

/** The value of the expression, and into `used` the numbers in it; or why it has none. Precedence climbing over + - * / ( ). */
function evaluate(expression: string, used: number[]): Fraction | string {
  const tokens = expression.replace(/[×·]/g, '*').replace(/÷/g, '/').replace(/−/g, '-').match(/\d+|[^\s\d]/g) ?? [];
  let place = 0;
  const operand = (): Fraction => {
    const token = tokens[place++];
    if (token === '(') {
      const inside = sum();
      if (tokens[place++] !== ')') throw new Unreadable('a parenthesis is not closed');
      return inside;
    }
    if (token === undefined || !/^\d{1,15}$/.test(token)) throw new Unreadable(`expected a number, got ${token === undefined ? 'the end' : `"${token.slice(0, 20)}"`}`);
    used.push(Number(token));
    return { top: BigInt(token), bottom: 1n };
  };
  const product = (): Fraction => {
    let left = operand();
    while (tokens[place] === '*' || tokens[place] === '/') {
      const sign = tokens[place++];
      const right = operand();
      if (sign === '/' && right.top === 0n) throw new Unreadable('it divides by zero');
      left = sign === '*' ? fraction(left.top * right.top, left.bottom * right.bottom) : fraction(left.top * right.bottom, left.bottom * right.top);
    }
    return left;
  };
  const sum = (): Fraction => {
    let left = product();
    while (tokens[place] === '+' || tokens[place] === '-') {
      const sign = tokens[place++] === '+' ? 1n : -1n;
      const right = product();
      left = fraction(left.top * right.bottom + sign * right.top * left.bottom, left.bottom * right.bottom);
    }
    return left;
  };
  try {
    const value = sum();
    if (place < tokens.length) throw new Unreadable(`expected an operator, got "${tokens[place]!.slice(0, 20)}"`);
    return value;
  } catch (error) {
    if (error instanceof Unreadable) return error.message;
    throw error;
  }
}

/** Lowest terms, denominator positive. */
function fraction(top: bigint, bottom: bigint): Fraction {
  let [a, b] = [top < 0n ? -top : top, bottom < 0n ? -bottom : bottom];
  while (b !== 0n) [a, b] = [b, a % b];
  const divisor = (a === 0n ? 1n : a) * (bottom < 0n ? -1n : 1n);
  return { top: top / divisor, bottom: bottom / divisor };
}

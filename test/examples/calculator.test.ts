import { expect, test } from 'vitest';
import { calculate, tools } from '../../examples/tools/calculator.ts';

test.each<[string, number]>([
  ['2+3*4', 14], ['(2+3)*4', 20], ['10-4-3', 3], ['100/5/2', 10], ['-3*-(2 - 5)', -9], ['0.5 * 8', 4], ['--2', 2], ['((7))', 7],
])('%s is %d', (expression, value) => expect(calculate(expression)).toBe(value));

test.each([
  ['', /expected a number or \(, but the expression ends/],
  ['2+', /expected a number or \(, but the expression ends/],
  ['2 3', /expected an operator or the end, but read 3/],
  ['(2', /expected \), but the expression ends/],
  ['process.exit()', /expected a number or \(, but read p/],
  ['1/0', /divides by zero/],
])('%j says what is wrong', (expression, says) => expect(() => calculate(expression)).toThrow(says));

test('is what the model is told of', () => expect(tools.calculate.run({ expression: '6*7' })).toBe(42));

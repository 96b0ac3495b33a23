import { expect, test } from 'vitest';
import { checkExpression, finalExpression } from '../../src/tasks/generators/expression.ts';

const all = { numbers: [3, 7, 25, 3], target: 46, useAll: false };

test.each([
  ['3*7+25', null],
  [' ( 25 + 7 * 3 ) ', null],
  ['3×7+25', null],
  ['25+7*3/3*3', '3 is used too often'],
  ['3*7+25+0', '0 is not one of the numbers'],
  ['46', '46 is not one of the numbers'],
  ['3*7+25-3', 'it makes 43, not 46'],
  ['25/7', 'it makes 25/7, not 46'],
  ['25/(3-3)', 'it divides by zero'],
  ['3**7', 'expected a number, got "*"'],
  ['(3*7', 'a parenthesis is not closed'],
  ['3 7', 'expected an operator, got "7"'],
  ['3+', 'expected a number, got the end'],
  ['-3', 'expected a number, got "-"'],
  ['process.exit()', 'expected a number, got "p"'],
  ['', 'no expression'],
  ['('.repeat(600), 'an expression of more than 500 characters'],
  ['('.repeat(499), 'expected a number, got the end'],
  ['9'.repeat(400), `expected a number, got "${'9'.repeat(20)}"`],
])('%s', (expression, problem) => {
  expect(checkExpression(expression, all)).toBe(problem);
});

test('fractions on the way are exact', () => {
  expect(checkExpression('1/3*3+6', { numbers: [1, 3, 3, 6], target: 7, useAll: true })).toBeNull();
  expect(checkExpression('8/(3-8/3)', { numbers: [8, 8, 3, 3], target: 24, useAll: true })).toBeNull();
});

test('every number has to be used where the task says so', () => {
  expect(checkExpression('3*7+25', { ...all, useAll: true })).toBe('3 is not used');
});

test.each([
  ['I think\n3*7+25', '3*7+25'],
  ['3*7+25 = 46', '3*7+25'],
  ['<answer>1+1</answer> no: <answer>3*7+25</answer> done', '3*7+25'],
  ['', ''],
])('the expression of %j', (completion, expression) => {
  expect(finalExpression(completion)).toBe(expression);
});

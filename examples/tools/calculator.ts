/**
 * A calculator that a chat model may call.
 *
 *   tools: [{ kind: module, path: ../examples/tools/calculator.ts }]
 *
 * It reads its expression itself: what a model writes is data, never code to run.
 */
const parameters = {
  type: 'object',
  properties: { expression: { type: 'string', maxLength: 200, description: 'Numbers, + - * / and parentheses, such as (12 + 7) * 3' } },
  required: ['expression'],
  additionalProperties: false,
};

export const tools = {
  calculate: {
    description: 'Calculates an arithmetic expression.',
    parameters,
    run: ({ expression }: { expression: string }): number => calculate(expression),
  },
};

/**
 *   sum     = product (("+" | "-") product)*
 *   product = factor (("*" | "/") factor)*
 *   factor  = "-" factor | "(" sum ")" | number
 *
 * @throws Error that says what was expected, for the model to read.
 */
export function calculate(expression: string): number {
  const words = expression.match(/\d+(?:\.\d+)?|\S/g) ?? [];
  let at = 0;
  const expected = (what: string): Error => new Error(`expected ${what}, but ${at < words.length ? `read ${words[at]}` : 'the expression ends'}`);

  function sum(): number {
    let value = product();
    while (words[at] === '+' || words[at] === '-') value += words[at++] === '+' ? product() : -product();
    return value;
  }

  function product(): number {
    let value = factor();
    while (words[at] === '*' || words[at] === '/') value = words[at++] === '*' ? value * factor() : value / factor();
    return value;
  }

  function factor(): number {
    const word = words[at];
    if (word === '-') return at++, -factor();
    if (word === '(') {
      at++;
      const value = sum();
      if (words[at] !== ')') throw expected(')');
      at++;
      return value;
    }
    if (word === undefined || !/^\d/.test(word)) throw expected('a number or (');
    at++;
    return Number(word);
  }

  const value = sum();
  if (at < words.length) throw expected('an operator or the end');
  if (!Number.isFinite(value)) throw new Error('the result is no number: it divides by zero, or is too large');
  return value;
}

/** @file What differentiate refuses, and that the message says where and what to do. */
import { describe, expect, test } from 'vitest';
import { Builder, OnnxError, differentiate, tensorFrom, type Attribute, type Model, type Value } from '../../src/onnx/index.ts';

function graph(body: (b: Builder, x: Value, ids: Value) => Value): Model {
  const b = new Builder();
  const x = b.input('x', 'float32', [2, 3]), ids = b.input('ids', 'int64', [2]);
  b.output('loss', b.sum(body(b, x, ids)));
  return b.build();
}

function refusal(model: Model, wrt: string[], output = 'loss'): string {
  try { differentiate(model, { output, wrt }); } catch (error) {
    expect(error).toBeInstanceOf(OnnxError);
    return (error as OnnxError).message;
  }
  throw new Error('nothing was refused');
}

describe('differentiate refuses', () => {
  test('what comes after an operator whose types it cannot infer, naming that operator', () => {
    const b = new Builder();
    const hidden = b.within('block', () => b.op('Celu', [b.input('x', 'float32', [2, 3])]));
    const after = b.tanh(hidden);
    expect(() => b.value(after.name)).toThrow(`the type of "${after.name}" is not known: Celu "block/Celu" has no shape rule`);
    expect(() => b.value('nothing')).toThrow('there is no value "nothing"');
  });

  test('an operator without a rule, with the path that leads to it', () => {
    const model = graph((b, x) => b.within('block', () => b.op('Celu', [b.tanh(x)])));
    expect(refusal(model, ['x'])).toMatch(/Celu "block\/Celu" has no gradient rule.*"x" → Tanh "block\/Tanh" → Celu/);
  });

  test('a fused operator, with the advice to decompose it', () => {
    expect(refusal(graph((b, x) => b.contrib('QuickGelu', [x])[0]!), ['x'])).toMatch(/com\.microsoft\.QuickGelu.*decompose/);
  });

  test('a variable that is no float', () => {
    expect(refusal(graph((b, x, ids) => b.gather(x, b.op('Mod', [ids, b.scalar(2, 'int64')]))), ['ids'])).toContain('"ids" is int64[2]: gradients exist only for float values');
  });

  test('a variable or an output that does not exist', () => {
    const model = graph((b, x) => b.tanh(x));
    expect(refusal(model, ['weight'])).toContain('"weight"');
    expect(refusal(model, ['x'], 'perplexity')).toContain('"perplexity"');
  });

  test('no variables at all', () => {
    expect(refusal(graph((b, x) => b.tanh(x)), [])).toContain('wrt');
  });

  test('an output that does not depend on the variable', () => {
    const b = new Builder();
    b.input('unused', 'float32', [3]);
    b.output('loss', b.sum(b.input('x', 'float32', [3])));
    expect(refusal(b.build(), ['x', 'unused'])).toMatch(/"loss" does not depend on "unused"/);
  });

  test.each(['Floor', 'Sign', 'Round'])('a variable that reaches the output through %s alone', (op) => {
    expect(refusal(graph((b, x) => b.op(op, [x])), ['x'])).toMatch(/does not depend on "x"/);
  });

  test('a variable that only decides a comparison or an index', () => {
    expect(refusal(graph((b, x) => b.where(b.greater(x, 0), 1, b.scalar(2))), ['x'])).toMatch(/does not depend on "x"/);
    expect(refusal(graph((b, x) => b.gather(b.constant('float32', [3], [1, 2, 3]), b.argmax(x, 1))), ['x'])).toMatch(/does not depend on "x"/);
  });

  test('an output that is no scalar, unless a cotangent is named', () => {
    const b = new Builder();
    b.output('y', b.tanh(b.input('x', 'float32', [2, 3])));
    const model = b.build();
    expect(refusal(model, ['x'], 'y')).toMatch(/float32\[2, 3\].*scalar.*cotangent/);
    const gradient = differentiate(model, { output: 'y', wrt: ['x'], cotangent: 'dy' });
    expect(gradient.inputs.map(({ name }) => name)).toEqual(['x', 'dy']);
    expect(gradient.outputs.map(({ name }) => name)).toEqual(['y', 'grad.x']);
  });

  test('an output that is no float', () => {
    const b = new Builder();
    b.output('best', b.argmax(b.input('x', 'float32', [3]), 0));
    expect(refusal(b.build(), ['x'], 'best')).toContain('only float values have gradients');
  });

  test('control flow on the path', () => {
    const body: Attribute = { kind: 'graph', value: {}, captures: ['h'] };
    const model: Model = {
      irVersion: 10, opsets: new Map([['', 21]]), name: 'branch', producer: 'test', valueInfo: new Map([['y', { name: 'y', dataType: 'float32', shape: [] }]]), metadata: new Map(), functions: [],
      inputs: [{ name: 'x', dataType: 'float32', shape: [] }, { name: 'flag', dataType: 'bool', shape: [] }],
      outputs: [{ name: 'loss', dataType: 'float32', shape: [] }],
      initializers: new Map([['one', tensorFrom('float32', [], [1])]]),
      nodes: [
        { name: 'hidden', op: 'Tanh', domain: '', inputs: ['x'], outputs: ['h'], attributes: {} },
        { name: 'branch', op: 'If', domain: '', inputs: ['flag'], outputs: ['y'], attributes: { then_branch: body, else_branch: body } },
        { name: 'end', op: 'Add', domain: '', inputs: ['y', 'x'], outputs: ['loss'], attributes: {} },
      ],
    };
    // What the branches do with h is not known: to leave it out would be a gradient that is wrong without a word.
    expect(refusal(model, ['x'])).toMatch(/If "branch" is control flow/);
  });
});

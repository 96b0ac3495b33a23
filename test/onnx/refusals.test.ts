/** @file What differentiate refuses, and that the message says where and what to do. */
import { describe, expect, test } from 'vitest';
import { Builder, OnnxError, differentiate, string, tensorFrom, type Attribute, type DifferentiateOptions, type Model, type Value } from '../../src/onnx/index.ts';

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
    expect(refusal(graph((b, x) => b.contrib('FastGelu', [x])[0]!), ['x'])).toMatch(/com\.microsoft\.FastGelu.*decompose/);
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

  test.each(['Floor', 'Sign', 'Round'])('a variable that reaches the output through %s alone, with where its path ends', (op) => {
    expect(refusal(graph((b, x) => b.op(op, [b.tanh(x)])), ['x'])).toBe(`"loss" does not depend on "x" through anything with a derivative: "x" → Tanh "Tanh" → ${op} "${op}" ends there`);
  });

  test('a variable that becomes an integer', () => {
    expect(refusal(graph((b, x) => b.cast(b.cast(x, 'int64'), 'float32')), ['x'])).toContain('"x" → Cast "Cast" ends there');
  });

  test('a Dropout that drops, or may', () => {
    const drops = (b: Builder, x: Value, training: Value): Value => b.op('Dropout', [x, b.scalar(0.5), training]);
    expect(refusal(graph((b, x) => drops(b, x, b.constant('bool', [], [1]))), ['x'])).toMatch(/^Dropout "Dropout" cannot be differentiated: its training mode is on.*path: "x" → Dropout "Dropout"$/);
    expect(refusal(graph((b, x) => drops(b, x, b.input('training', 'bool', []))), ['x'])).toContain('not known to be off');
    expect(() => differentiate(graph((b, x) => drops(b, x, b.constant('bool', [], [0]))), { output: 'loss', wrt: ['x'] })).not.toThrow();
  });

  test('the mean and the deviation of a norm, with the path', () => {
    expect(refusal(graph((b, x) => b.ops('LayerNormalization', [b.tanh(x), b.constant('float32', [3], [1, 1, 1])], {}, { outputs: 2 })[1]!), ['x'])).toMatch(/only its first output.*path: "x" → Tanh "Tanh" → LayerNormalization/);
  });

  test('a corner of an operator that its rule leaves out, with the path', () => {
    const scatter = graph((b, x, ids) => b.op('ScatterND', [b.tanh(x), b.unsqueeze(ids, [1]), b.constant('float32', [2, 3], [1, 2, 3, 4, 5, 6])], { reduction: string('max') }));
    expect(refusal(scatter, ['x'])).toBe('ScatterND "ScatterND" cannot be differentiated: reduction "max" has no rule (only none and add); path: "x" → Tanh "Tanh" → ScatterND "ScatterND"');
  });

  test('names that would end in another gradient, or in none', () => {
    const model = graph((b, x) => b.tanh(x)), refused = (options: Partial<DifferentiateOptions>): unknown => { try { return differentiate(model, { output: 'loss', wrt: ['x'], ...options }); } catch (error) { return (error as Error).message; } };
    expect(refused({ wrt: ['x', 'x'] })).toBe('"x" stands twice in wrt');
    expect(refused({ stop: ['hiden'] })).toBe('there is no value "hiden" to stop at');
    expect(refused({ stop: ['x'] })).toContain('"x" stands in wrt and in stop');
    expect(refused({ prefix: '' })).toBe('the model has a value "x" already: choose another prefix');
    expect(refused({ output: '' })).toBe('there is no value "" to differentiate; the model\'s outputs are "loss"');
    const once = differentiate(model, { output: 'loss', wrt: ['x'] });
    expect(refusal(once, ['x'])).toBe('the model has a value "grad.x" already: choose another prefix');
    expect(differentiate(once, { output: 'grad.x', wrt: ['x'], cotangent: 'v', prefix: 'hessian.' }).outputs.map(({ name }) => name)).toEqual(['loss', 'grad.x', 'hessian.x']);
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

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalize } from '../../../src/onnx/passes/canonicalize.ts';
import { decompose } from '../../../src/onnx/passes/decompose/index.ts';
import { readModel } from '../../../src/onnx/read-model.ts';
import { Builder, type Value } from '../../../src/onnx/builder.ts';
import { float, int, type Attributes, type Model } from '../../../src/onnx/ir.ts';
import { float32Tensor } from '../../../src/onnx/tensor.ts';
import { contribErrors, contribFeeds, contribOperators, decomposed } from './contrib.ts';
import { difference, floats, ints32, operators, randomFloats, run, type Feeds } from './graphs.ts';

const FOLDER = 'test/onnx/fixtures/contrib';

describe.each(contribOperators)('decompose $domain.$operator', (fixtures) => {
  const { operator, domain, cases } = fixtures;
  it.each(cases)('$name gives what the kernel gives', async (fixture) => {
    const after = decomposed(fixtures, fixture);
    if (operator !== 'SimplifiedLayerNormalization') expect(after.nodes.filter((node) => node.op === operator && node.domain === domain)).toEqual([]);
    expect(after.nodes.filter((node) => node.domain !== '')).toEqual([]);
    for (const [output, error] of contribErrors(await run(after, contribFeeds(fixture)), fixture)) expect(error, output).toBeLessThan(2e-5);
  });
});

describe('decompose', () => {
  it('leaves Gelu, which every device differentiates whole, unless it is named', () => {
    const model = canonicalize(readModel(`${FOLDER}/Gelu.exact.onnx`));
    expect(operators(decompose(model))).toEqual({ Gelu: 1 });
    expect(operators(decompose(model, { only: ['.Gelu'] }))).toHaveProperty('Erf');
  });
});

describe('decompose GroupQueryAttention', () => {
  const model = (shape: { heads: number; kvHeads: number; packed: boolean; rotary: boolean }, attributes: Attributes): Model => {
    const b = new Builder(), { heads, kvHeads, packed, rotary } = shape, depth = 16;
    const operand = (name: string, count: number) => b.input(name, 'float32', ['batch', 'sequence', count * depth]);
    const projections = packed ? [operand('qkv', heads + 2 * kvHeads), null, null] : [operand('q', heads), operand('k', kvHeads), operand('v', kvHeads)];
    const past = ['past_key_values.0.key', 'past_key_values.0.value'].map((name) => b.input(name, 'float32', ['batch', kvHeads, 'past', depth]));
    const table = (name: string, seed: number) => (rotary ? b.initializer(name, float32Tensor([16, 8], randomFloats([16, 8], seed))) : null);
    const results = b.contrib('GroupQueryAttention', [...projections, ...past, b.input('lengths', 'int32', ['batch']), b.input('total', 'int32', []), table('cos', 21), table('sin', 22)],
      { num_heads: int(heads), kv_num_heads: int(kvHeads), do_rotary: int(rotary ? 1 : 0), ...attributes }, { outputs: 3 });
    ['y', 'present.0.key', 'present.0.value'].forEach((name, index) => b.output(name, results[index]!));
    return b.build();
  };

  it('gives what the kernel gives, for any heads, lengths and attributes', () => fc.assert(fc.asyncProperty(fc.record({
    kvHeads: fc.integer({ min: 1, max: 3 }), repeats: fc.integer({ min: 1, max: 3 }), batch: fc.integer({ min: 1, max: 3 }), sequence: fc.integer({ min: 1, max: 6 }), past: fc.integer({ min: 0, max: 5 }),
    packed: fc.boolean(), rotary: fc.boolean(), window: fc.constantFrom(-1, 1, 3), softcap: fc.constantFrom(0, 1.5), scale: fc.constantFrom(0, 0.3),
  }), async ({ kvHeads, repeats, batch, sequence, past, packed, rotary, window, softcap, scale }) => {
    // The kernel takes several new tokens on a past for one row only.
    const rows = past > 0 && sequence > 1 ? 1 : batch, heads = kvHeads * repeats;
    const before = model({ heads, kvHeads, packed, rotary }, { local_window_size: int(window), ...(softcap > 0 ? { softcap: float(softcap) } : {}), ...(scale > 0 ? { scale: float(scale) } : {}) });
    const projections: Feeds = packed ? { qkv: floats([rows, sequence, (heads + 2 * kvHeads) * 16], 1) } : { q: floats([rows, sequence, heads * 16], 1), k: floats([rows, sequence, kvHeads * 16], 2), v: floats([rows, sequence, kvHeads * 16], 3) };
    const feeds: Feeds = {
      ...projections, 'past_key_values.0.key': floats([rows, kvHeads, past, 16], 4), 'past_key_values.0.value': floats([rows, kvHeads, past, 16], 5),
      lengths: ints32([rows], Array<number>(rows).fill(past + sequence - 1)), total: ints32([], [past + sequence]),
    };
    // The CPU's kernel is the reference on every device: WebGPU's own differs from it for some of these.
    const [expected, actual] = [await run(before, feeds, 'cpu'), await run(decompose(before), feeds)];
    for (const [name, value] of Object.entries(expected)) expect(difference(actual[name]!, value), name).toBeLessThan(2e-5);
  }), { numRuns: 40 }));

  it('computes masks and rotary tables once for all layers', () => {
    const before = canonicalize(readModel('test/onnx/fixtures/decoders/llama-genai.onnx')), after = decompose(before);
    expect(operators(before)).toMatchObject({ GroupQueryAttention: 2 });
    expect(operators(after)).toMatchObject({ LessOrEqual: 1, Gather: 3 });
  });

  it('makes what only a control-flow body reads', () => {
    const b = new Builder(), [x, w] = [b.input('x', 'float32', [2, 4]), b.input('w', 'float32', [4])];
    const [y, , deviation] = b.contrib('SkipSimplifiedLayerNormalization', [x, x, w], {}, { outputs: 3 });
    b.output('y', b.op('If', [b.input('chosen', 'bool', [])], { then_branch: { kind: 'graph', value: null, captures: [y!.name, deviation!.name] } }));
    expect(decompose(b.build()).nodes.flatMap(({ outputs }) => outputs)).toEqual(expect.arrayContaining([y!.name, deviation!.name]));
  });

  it('names the form that it does not know', () => {
    const sink = model({ heads: 1, kvHeads: 1, packed: false, rotary: false }, { smooth_softmax: int(1) });
    expect(() => decompose(sink)).toThrow('cannot decompose com.microsoft.GroupQueryAttention "GroupQueryAttention": smooth_softmax is not supported');
    const b = new Builder(), [q, k, v] = ['q', 'k', 'v'].map((name) => b.input(name, 'float32', [1, 2, 3, 4])) as [Value, Value, Value];
    b.output('y', b.op('Attention', [q, k, v], { left_window_size: int(1) }));
    expect(() => decompose(b.build())).toThrow('cannot decompose Attention "Attention": attribute left_window_size is not supported');
  });
});

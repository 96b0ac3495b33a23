import { describe, expect, it } from 'vitest';
import { Builder, type Value } from '../../../src/onnx/builder.ts';
import { canonicalize, decompose, foldShapes, insertLora, mergeLora, parameterNames, stripCache } from '../../../src/onnx/passes/index.ts';
import { readModel } from '../../../src/onnx/read-model.ts';
import { float32Tensor, floatValues, numberValues, tensorFrom } from '../../../src/onnx/tensor.ts';
import type { Model, Tensor } from '../../../src/onnx/ir.ts';
import type { HostTensor } from '../../../src/onnx/session.ts';
import { decoderFeeds, difference, floats, operators, randomFloats, run, tinyLlama, type Feeds } from './graphs.ts';

const decoder = (name: string): Model => stripCache(canonicalize(readModel(`test/onnx/fixtures/decoders/${name}.onnx`)));
const feedsOf = (model: Model): Feeds => decoderFeeds(model, [6, 6], { vocabulary: 97 });

/** Adapters for the inputs that a pass added: A small, B zero or small. */
function adaptersOf(before: Model, after: Model, { zero = false } = {}): Map<string, Tensor> {
  const known = new Set(before.inputs.map(({ name }) => name));
  return new Map(after.inputs.filter(({ name }) => !known.has(name)).map(({ name, shape }, index) => [name, float32Tensor(shape as number[], randomFloats(shape as number[], index, zero && name.endsWith('lora_B') ? 0 : 0.3))]));
}
const fed = (adapters: ReadonlyMap<string, Tensor>): Record<string, HostTensor> => Object.fromEntries([...adapters].map(([name, tensor]) => [name, { dataType: 'float32' as const, dims: tensor.dims, data: floatValues(tensor) }]));

/** An adapted graph must say what the same graph says with the adapters in its weights. */
async function expectMerged(before: Model, options: { targets: (string | RegExp)[]; rank?: number; alpha?: number }, { prepare = (model: Model): Model => model, tolerance = 5e-6 } = {}): Promise<Map<string, Tensor>> {
  const { targets, rank = 3, alpha = 5 } = options;
  const base = prepare(before), adapted = insertLora(base, { targets, rank, alpha }), feeds = feedsOf(before);
  const still = await run(adapted, { ...feeds, ...fed(adaptersOf(base, adapted, { zero: true })) });
  const original = await run(before, feeds);
  expect(difference(still['logits']!, original['logits']!)).toBeLessThan(tolerance);
  const adapters = adaptersOf(base, adapted);
  const moved = await run(adapted, { ...feeds, ...fed(adapters) });
  expect(difference(moved['logits']!, original['logits']!)).toBeGreaterThan(0.01);
  const merged = mergeLora(before, adapters, { alpha });
  expect(difference((await run(merged, feeds))['logits']!, moved['logits']!)).toBeLessThan(tolerance);
  return adapters;
}

describe('insertLora and mergeLora', () => {
  it('adapt the named modules of our own graph', async () => {
    const adapters = await expectMerged(tinyLlama({ vocabulary: 97, cache: false }), { targets: ['q_proj', 'layers.1.mlp.down_proj'] });
    expect([...adapters].map(([name, { dims }]) => `${name} [${dims.join()}]`)).toEqual([
      'model.layers.0.self_attn.q_proj.lora_A [32,3]', 'model.layers.0.self_attn.q_proj.lora_B [3,32]',
      'model.layers.1.self_attn.q_proj.lora_A [32,3]', 'model.layers.1.self_attn.q_proj.lora_B [3,32]',
      'model.layers.1.mlp.down_proj.lora_A [48,3]', 'model.layers.1.mlp.down_proj.lora_B [3,32]',
    ]);
  });

  it('adapt all linear layers but the head', async () => {
    const adapters = await expectMerged(tinyLlama({ vocabulary: 97, cache: false, tied: false }), { targets: ['all-linear'] });
    expect(adapters.size).toBe(2 * 2 * 7);
    expect([...adapters.keys()].filter((name) => name.startsWith('lm_head'))).toEqual([]);
  });

  it('give a tied head a matrix of its own when they merge into it', async () => {
    const before = tinyLlama({ vocabulary: 97, cache: false });
    const adapters = await expectMerged(before, { targets: ['lm_head'] });
    const merged = mergeLora(before, adapters, { alpha: 5 });
    expect(merged.initializers.get('model.embed_tokens.weight')).toBe(before.initializers.get('model.embed_tokens.weight'));
  });

  it('find modules behind the anonymous weights of PyTorch', async () => {
    const adapters = await expectMerged(decoder('llama-traced'), { targets: ['q_proj', 'v_proj', /layers\.0\.mlp/] });
    expect([...adapters.keys()]).toContain('model.layers.0.mlp.gate_proj.lora_A');
    expect(adapters.size).toBe(2 * (4 + 3));
  });

  it('adapt Gemm with bias', async () => {
    const adapters = await expectMerged(decoder('gpt2-traced'), { targets: ['c_attn', 'mlp.c_proj'] });
    expect([...adapters.keys()]).toContain('transformer.h.1.attn.c_attn.lora_B');
  });

  it.each([['as exported', (model: Model): Model => model], ['decomposed', (model: Model): Model => foldShapes(decompose(model))]])('give q, k and v of a packed projection adapters of their own (%s)', async (_, prepare) => {
    const adapters = await expectMerged(decoder('llama-genai'), { targets: ['q_proj', 'v_proj', 'o_proj'] }, { prepare });
    expect([...adapters].slice(0, 4).map(([name, { dims }]) => `${name} [${dims.join()}]`)).toEqual([
      'model.layers.0.self_attn.q_proj.lora_A [32,3]', 'model.layers.0.self_attn.q_proj.lora_B [3,64]',
      'model.layers.0.self_attn.v_proj.lora_A [32,3]', 'model.layers.0.self_attn.v_proj.lora_B [3,32]',
    ]);
    await expectMerged(decoder('qwen2-genai'), { targets: ['all-linear'] }, { prepare });
    await expectMerged(decoder('llama-genai'), { targets: ['qkv_proj'] }, { prepare });
  });

  it.each([['as exported', (model: Model): Model => model], ['decomposed', (model: Model): Model => foldShapes(decompose(model))]])('adapt quantized layers, which become float ones when merged (%s)', async (_, prepare) => {
    const before = decoder('llama-genai-int4');
    const adapters = await expectMerged(before, { targets: ['k_proj', 'down_proj'] }, { prepare, tolerance: 2e-5 });
    expect(operators(mergeLora(before, adapters, { alpha: 5 }))).toMatchObject({ MatMul: 4, MatMulNBits: 7 });
  });

  it.each<[string, (b: Builder, x: Value, w: Value) => Value, readonly number[], readonly number[]]>([
    ['3-D activations', (b, x, w) => b.matmul(x, w), [2, 3, 4], [4, 5]],
    ['a transposed weight', (b, x, w) => b.matmul(x, b.transpose(w, [1, 0])), [3, 4], [5, 4]],
    ['Gemm, transposed, scaled, with bias', (b, x, w) => b.gemm(x, w, b.initializer('bias', float32Tensor([5], randomFloats([5], 9))), { transB: true, alpha: 0.5 }), [3, 4], [5, 4]],
  ])('compute y + (x·A)·B·α/r: %s', async (_, body, rows, matrix) => {
    const b = new Builder();
    b.output('y', b.within('block/proj', () => body(b, b.input('x', 'float32', ['batch', ...rows.slice(1)]), b.initializer('block.proj.weight', float32Tensor(matrix, randomFloats(matrix, 5))))));
    const before = b.build(), after = insertLora(before, { targets: ['proj'], rank: 2, alpha: 6 });
    const feeds = { x: floats(rows, 3) }, adapters = adaptersOf(before, after);
    const base = (await run(before, feeds))['y']!, y = (await run(after, { ...feeds, ...fed(adapters) }))['y']!;
    const A = floatValues(adapters.get('block.proj.lora_A')!), B = floatValues(adapters.get('block.proj.lora_B')!);
    const expected = Float32Array.from(base.data as Float32Array, (value, at) => {
      const row = Math.floor(at / 5), column = at % 5;
      let delta = 0;
      for (let k = 0; k < 2; k++) for (let i = 0; i < 4; i++) delta += (feeds.x.data[row * 4 + i] as number) * A[i * 2 + k]! * B[k * 5 + column]!;
      return value + 3 * delta;
    });
    expect(difference(y, { ...base, data: expected })).toBeLessThan(2e-6);
    expect(difference((await run(mergeLora(before, adapters, { alpha: 6 }), feeds))['y']!, y)).toBeLessThan(2e-6);
  });

  it('keep half-precision layers in half precision, adapters in float32', async () => {
    const b = new Builder();
    const x = b.cast(b.input('x', 'float32', ['batch', 4]), 'float16');
    b.output('y', b.cast(b.within('proj', () => b.matmul(x, b.initializer('proj.weight', tensorFrom('float16', [4, 5], randomFloats([4, 5], 5))))), 'float32'));
    const before = b.build(), after = insertLora(before, { targets: ['proj'], rank: 2, alpha: 2 }), adapters = adaptersOf(before, after), feeds = { x: floats([3, 4]) };
    expect([...adapters.values()].every(({ dataType }) => dataType === 'float32')).toBe(true);
    const merged = mergeLora(before, adapters, { alpha: 2 });
    expect(merged.initializers.get('proj.weight')!.dataType).toBe('float16');
    expect(difference((await run(after, { ...feeds, ...fed(adapters) }))['y']!, (await run(merged, feeds))['y']!)).toBeLessThan(2e-3);
  });

  it('refuse what does not fit', () => {
    const model = tinyLlama({ vocabulary: 97, cache: false });
    expect(() => insertLora(model, { targets: ['q_proj', 'query'], rank: 2, alpha: 2 })).toThrow('no linear layer matches the LoRA target query; there are q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj, lm_head');
    const one = (dims: number[]): Tensor => float32Tensor(dims, new Float32Array(dims[0]! * dims[1]!));
    const name = 'model.layers.0.self_attn.k_proj';
    expect(() => mergeLora(model, new Map([[`${name}.lora_A`, one([32, 2])], [`${name}.lora_B`, one([2, 32])]]), { alpha: 2 })).toThrow(`the adapter of "${name}" should be [32, r] and [r, 16], but is [32, 2] and [2, 32]`);
    expect(() => mergeLora(model, new Map([['somewhere.lora_A', one([32, 2])]]), { alpha: 2 })).toThrow('no linear layer of the graph has the adapter somewhere.lora_A');
  });
});

describe('parameterNames', () => {
  const namesOf = (name: string): string[] => [...parameterNames(canonicalize(readModel(`test/onnx/fixtures/decoders/${name}.onnx`))).values()].filter((each) => !each.includes('layers.1'));

  it('recovers what PyTorch lost', () => {
    const own = ['input_layernorm', 'mlp.down_proj', 'mlp.gate_proj', 'mlp.up_proj', 'post_attention_layernorm', 'self_attn.k_proj', 'self_attn.o_proj', 'self_attn.q_proj', 'self_attn.v_proj'].map((module) => `model.layers.0.${module}.weight`);
    expect(namesOf('llama-traced').toSorted()).toEqual(['model.embed_tokens.weight', ...own, 'model.norm.weight']);
    expect(namesOf('llama-traced-18').toSorted()).toEqual(['lm_head.weight', 'model.embed_tokens.weight', ...own, 'model.norm.weight']);
    expect(namesOf('phi-traced')).toContain('model.layers.0.self_attn.q_proj.bias');
    expect(namesOf('gemma2-traced')).toContain('model.layers.0.pre_feedforward_layernorm.weight');
  });

  it('calls the modules of onnxruntime-genai what they were called before', () => {
    expect(namesOf('qwen3-genai').toSorted()).toEqual([
      'model.embed_tokens.weight', ...['input_layernorm', 'mlp.down_proj', 'mlp.gate_proj', 'mlp.up_proj', 'post_attention_layernorm', 'self_attn.k_norm', 'self_attn.o_proj', 'self_attn.q_norm', 'self_attn.qkv_proj'].map((module) => `model.layers.0.${module}.weight`), 'model.norm.weight',
    ]);
    expect(namesOf('llama-genai-untied')).toEqual(expect.arrayContaining(['model.embed_tokens.weight', 'lm_head.weight']));
    expect(namesOf('qwen2-genai')).toContain('model.layers.0.self_attn.qkv_proj.bias');
  });

  it('does not take what unpacks quantized weights for weights', () => {
    const model = decompose(canonicalize(readModel('test/onnx/fixtures/decoders/llama-genai-int4.onnx')));
    expect([...parameterNames(model).values()].filter((name) => !name.includes('norm'))).toEqual([]);
  });

  it('leaves no scalar, index list or table of angles among the weights', () => {
    const model = canonicalize(readModel('test/onnx/fixtures/decoders/phi-genai.onnx'));
    for (const name of parameterNames(model).keys()) {
      const tensor = model.initializers.get(name)!;
      expect(numberValues(tensor).length, name).toBeGreaterThan(1);
      expect(name).not.toMatch(/cache/);
    }
  });
});

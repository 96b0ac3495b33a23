/**
 * `npm run bench:recompute`: peak memory and time of a long batch with and without recomputation, each in a process of its own.
 */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { buildDecoder, decoderParameters, parseDecoderConfig } from '../src/models/architectures/index.ts';
import { Builder, DECODER_LAYERS, canonicalize, createSession, decompose, differentiate, elementCount, f32, float32Tensor, floatValues, i64, insertLora, liftInitializers, parameterNames, selectLogits, stripCache, type HostTensor, type Model } from '../src/onnx/index.ts';

interface Case { readonly name: string; readonly rows: number; readonly length: number; readonly scored: number; readonly layers: number; readonly width: number; readonly method: 'lora' | 'full' }

const cases: readonly Case[] = [
  { name: '12 layers LoRA r=16, 8×512', rows: 8, length: 512, scored: 64, layers: 12, width: 576, method: 'lora' },
  { name: '12 layers full, 8×512', rows: 8, length: 512, scored: 64, layers: 12, width: 576, method: 'full' },
  { name: '16 layers full, 4×384, narrow', rows: 4, length: 384, scored: 8, layers: 16, width: 192, method: 'full' },
];

/** Proportions of the 135M shape, with fewer layers and a small vocabulary: what is measured is the inside of the layers. */
const config = ({ layers, width }: Case): Record<string, unknown> => ({
  model_type: 'llama', rms_norm_eps: 1e-5, rope_theta: 10_000, tie_word_embeddings: true, hidden_act: 'silu', max_position_embeddings: 2048,
  hidden_size: width, intermediate_size: (width * 8) / 3, num_hidden_layers: layers, num_attention_heads: width / 64, num_key_value_heads: width / 192, vocab_size: VOCABULARY,
});
const VOCABULARY = 4096;

/** A value per element that is neither random nor all the same. */
const pattern = (dims: readonly number[]): Float32Array => Float32Array.from({ length: elementCount(dims) }, (_, at) => 0.04 * (((at * 2654435761) % 1000) / 1000 - 0.5));

/** The decoder that is trained, and its trainable inputs. */
function decoderOf(bench: Case): { model: Model; parameters: Map<string, HostTensor> } {
  const decoder = parseDecoderConfig(config(bench), 'bench');
  const weights = new Map(decoderParameters(decoder).map(({ name, shape, kind }) => [name, float32Tensor(shape, kind === 'norm' ? new Float32Array(elementCount(shape)).fill(1) : pattern(shape))] as const));
  const canonical = stripCache(decompose(canonicalize(buildDecoder(decoder, weights))));
  const before = new Set(canonical.inputs.map(({ name }) => name));
  const trained = bench.method === 'lora' ? insertLora(canonical, { targets: ['all-linear'], rank: 16, alpha: 32 }) : liftInitializers(canonical, [...parameterNames(canonical).keys()]).model;
  const parameters = trained.inputs.filter(({ name }) => !before.has(name)).map(({ name, shape }): [string, HostTensor] => {
    const tensor = weights.get(name), dims = shape as number[];
    return [name, f32(tensor === undefined ? pattern(dims) : floatValues(tensor), dims)];
  });
  return { model: selectLogits(trained), parameters: new Map(parameters) };
}

async function measure(bench: Case, recompute: boolean): Promise<Record<string, number>> {
  const { model, parameters } = decoderOf(bench);
  const b = new Builder(model);
  const targets = b.input('targets', 'int64', ['scored', 1]);
  b.output('loss', b.neg(b.mean(b.gatherElements(b.logSoftmax(b.value('logits')), targets, 1))));
  const graph = differentiate(b.build(), { output: 'loss', wrt: [...parameters.keys()], ...(recompute ? { recompute: DECODER_LAYERS } : {}) });
  const session = await createSession(graph);
  const { rows, length, scored } = bench;
  const integers = (dims: number[], value: (at: number) => number): HostTensor => i64(BigInt64Array.from({ length: elementCount(dims) }, (_, at) => BigInt(value(at))), dims);
  const feeds = {
    ...Object.fromEntries(parameters),
    input_ids: integers([rows, length], (at) => (at * 31) % VOCABULARY), attention_mask: integers([rows, length], () => 1), position_ids: integers([rows, length], (at) => at % length),
    logit_positions: integers([rows * scored], (at) => Math.floor(at / scored) * length + length - scored + (at % scored)), targets: integers([rows * scored, 1], (at) => (at * 17) % VOCABULARY),
  };
  const before = process.memoryUsage.rss();
  const times: number[] = [];
  for (let run = 0; run < 3; run++) { const start = performance.now(); await session.run(feeds); times.push(performance.now() - start); }
  const mb = (bytes: number): number => Math.round(bytes / 2 ** 20);
  return { nodes: graph.nodes.length, before_mb: mb(before), peak_mb: Math.round(process.resourceUsage().maxRSS / 1024), step_ms: Math.round(Math.min(...times)) };
}

const [name, recompute] = process.argv.slice(2);
if (recompute !== undefined) {
  console.log(JSON.stringify(await measure(cases.find((bench) => bench.name === name)!, recompute === 'true')));
} else {
  const results = [];
  for (const bench of cases) {
    if (name !== undefined && !bench.name.includes(name)) continue;
    const run = async (again: boolean): Promise<Record<string, number>> =>
      JSON.parse((await promisify(execFile)(process.execPath, [fileURLToPath(import.meta.url), bench.name, String(again)])).stdout) as Record<string, number>;
    results.push({ case: bench.name, without: await run(false), with: await run(true) });
  }
  console.log(JSON.stringify(results, null, 2));
}

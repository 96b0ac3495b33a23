/** @file Greedy decoding by stock transformers.js, to compare with. */
import { fileURLToPath } from 'node:url';
import { AutoModelForCausalLM, Tensor, env } from '@huggingface/transformers';
import { expect } from 'vitest';
import { loadTokenizer } from '../../src/policy/tokenizer/load-tokenizer.ts';
import { drawAll, openCore, randomPrompt, request, tinyModel, tokenizer } from './support.ts';

/** config.json of two architectures with random weights: grouped queries and tied embeddings; norms of queries and keys, its own head. */
export const architectures = {
  llama: { hidden_size: 48, intermediate_size: 64, num_attention_heads: 6, num_key_value_heads: 2 },
  qwen3: { model_type: 'qwen3', architectures: ['Qwen3ForCausalLM'], head_dim: 16, tie_word_embeddings: false, num_hidden_layers: 3 },
};

/** A model of random weights, and ragged prompts of random words. */
export async function expectGreedyParity(directory: string, { config, count }: { config: Record<string, unknown>; count: number }): Promise<void> {
  await tinyModel(directory, { sharpness: 7, config });
  await expectSameTokens(directory, Array.from({ length: count }, (_, index) => randomPrompt(index, 2 + (index * 5) % 23)));
}

/** The embedded base, on sums and differences. */
export async function expectGreedyParityOfBase(count: number): Promise<void> {
  const directory = fileURLToPath(new URL('../../models/arith-tiny', import.meta.url));
  const { encode } = await loadTokenizer(directory);
  const prompts = Array.from({ length: count }, (_, index) => encode(`${(index * 37) % 100}${index % 2 === 0 ? '+' : '-'}${(index * 53 + 11) % 100}=`, { addSpecialTokens: true }));
  await expectSameTokens(directory, prompts);
}

/** Draws all prompts greedily with the engine, side by side, and with `generate()`, one by one. */
async function expectSameTokens(directory: string, prompts: readonly (readonly number[])[]): Promise<void> {
  const count = prompts.length;
  const requests = prompts.map((prompt, index) => request(index, prompt, { temperature: 0, maxTokens: 12 }));
  const engine = await openCore(directory, { maxRows: 48 });
  const samples = await drawAll(engine, requests);
  await engine.close();

  env.allowRemoteModels = false;
  const model = await AutoModelForCausalLM.from_pretrained(directory, { local_files_only: true });
  for (const [index, { promptTokenIds }] of requests.entries()) {
    const length = promptTokenIds.length;
    const options = { max_new_tokens: 12, do_sample: false, num_beams: 1, repetition_penalty: 1, temperature: 1, top_k: 0, eos_token_id: [tokenizer.eosTokenId], pad_token_id: tokenizer.padTokenId };
    const inputs = new Tensor('int64', BigInt64Array.from(promptTokenIds, BigInt), [1, length]), mask = new Tensor('int64', new BigInt64Array(length).fill(1n), [1, length]);
    const output = (await model.generate({ inputs, attention_mask: mask, ...options } as Parameters<typeof model.generate>[0])) as Tensor;
    expect(samples[index]!.outputTokenIds, `prompt ${index}`).toEqual(Array.from(output.data as BigInt64Array, Number).slice(length));
  }
  await model.dispose();
  expect(new Set(samples.map(({ outputTokenIds }) => outputTokenIds.join())).size).toBeGreaterThan(count / 6);
}

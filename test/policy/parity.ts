/** @file Greedy decoding by stock transformers.js, to compare with. */
import { AutoModelForCausalLM, Tensor, env } from '@huggingface/transformers';
import { expect } from 'vitest';
import { drawAll, openCore, randomPrompt, request, tinyModel, tokenizer } from './support.ts';

/** config.json of two architectures with random weights: grouped queries and tied embeddings; norms of queries and keys, its own head. */
export const architectures = {
  llama: { hidden_size: 48, intermediate_size: 64, num_attention_heads: 6, num_key_value_heads: 2 },
  qwen3: { model_type: 'qwen3', architectures: ['Qwen3ForCausalLM'], head_dim: 16, tie_word_embeddings: false, num_hidden_layers: 3 },
};

/** Draws `count` ragged prompts greedily with the engine, all together, and with `generate()`, one by one. */
export async function expectGreedyParity(directory: string, { config, count }: { config: Record<string, unknown>; count: number }): Promise<void> {
  await tinyModel(directory, { sharpness: 7, config });
  const requests = Array.from({ length: count }, (_, index) => request(index, randomPrompt(index, 2 + (index * 5) % 23), { temperature: 0, maxTokens: 12 }));
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
  expect(new Set(samples.map(({ outputTokenIds }) => outputTokenIds.join())).size).toBeGreaterThan(count / 3);
}

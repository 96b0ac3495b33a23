/** The PyTorch fixtures as models of a project. */
import { cp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Tensor } from '@huggingface/transformers';
import { floatsOf, readSafetensors, type ForkOptions, type StoredModel } from '../../../src/models/index.ts';
import { tinyTokenizer, type Project } from './tiny.ts';

export const fixtures = new URL('../../fixtures/', import.meta.url).pathname;
export const decoders = ['llama-tied', 'llama3-biases', 'mistral-window', 'qwen2-yarn', 'qwen3-linear'] as const;

export interface Expected {
  feeds: Record<string, Tensor>;
  /** [2, sequence, vocabulary] */
  logits: Float32Array;
  greedy: number[][];
  promptLength: number;
}

export async function expectedOf(directory: string): Promise<Expected> {
  const { tensors } = await readSafetensors(join(fixtures, directory, 'expected.safetensors'));
  const feeds: Record<string, Tensor> = {};
  for (const name of ['input_ids', 'attention_mask', 'position_ids']) {
    const stored = tensors.get(name);
    if (stored !== undefined) feeds[name] = new Tensor('int64', stored.data as BigInt64Array, [...stored.shape]);
  }
  const { data, shape } = tensors.get('greedy')!;
  const greedy = Array.from(data as BigInt64Array, Number);
  return {
    feeds,
    logits: floatsOf(tensors.get('logits')!, 'logits'),
    greedy: Array.from({ length: shape[0]! }, (_, row) => greedy.slice(row * shape[1]!, (row + 1) * shape[1]!)),
    promptLength: tensors.get('input_ids')!.shape[1]!,
  };
}

/** Forks a fixture, with the tiny tokenizer beside it. */
export async function forkDecoder(project: Project, name: string, options: Partial<ForkOptions> = {}): Promise<StoredModel> {
  const source = join(project.directory, name);
  await cp(join(fixtures, 'decoders', name), source, { recursive: true });
  for (const [file, content] of Object.entries(tinyTokenizer.files)) await writeFile(join(source, file), JSON.stringify(content));
  await project.store.fork({ source: `./${name}`, slug: name, ...options });
  return project.store.model(name);
}

export function largestDifference(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) throw new Error(`${actual.length} values, expected ${expected.length}`);
  return Array.from(actual).reduce((largest, value, index) => Math.max(largest, Math.abs(value - expected[index]!)), 0);
}

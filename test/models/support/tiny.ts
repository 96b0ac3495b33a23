/** Small models and states for tests of the store. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { characterTokenizer, createRandomModel, openStore, writeSafetensors, type CheckpointDraft, type ModelStore, type StoredTensor } from '../../../src/models/index.ts';

export const tinyTokenizer = characterTokenizer({ characters: '0123456789+=', contextLength: 16 });

export const tinyConfig = {
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  vocab_size: tinyTokenizer.vocabularySize,
  hidden_size: 8,
  intermediate_size: 12,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  max_position_embeddings: 16,
  tie_word_embeddings: true,
  bos_token_id: 1,
  eos_token_id: 2,
  pad_token_id: 0,
};

export function createTinyModel(directory: string, { seed = 1, config = tinyConfig }: { seed?: number; config?: Record<string, unknown> } = {}): Promise<void> {
  return createRandomModel({ directory, config, tokenizer: tinyTokenizer.files, seed });
}

export interface Project extends AsyncDisposable {
  directory: string;
  root: string;
  store: ModelStore;
}

/** A project with one built-in base, `tiny`; ids and times count up. */
export async function createProject(): Promise<Project> {
  const directory = await mkdtemp(join(tmpdir(), 'rlrun-store-'));
  await createTinyModel(join(directory, 'builtins', 'tiny'));
  let ids = 0;
  let seconds = 0;
  const root = join(directory, '.rlrun');
  const store = openStore({
    root,
    builtins: join(directory, 'builtins'),
    cwd: directory,
    newId: () => `id-${++ids}`,
    now: () => new Date(Date.UTC(2026, 0, 1, 0, 0, ++seconds)),
  });
  return { directory, root, store, [Symbol.asyncDispose]: () => rm(directory, { recursive: true }) };
}

export function draft(step: number, parent: string | null, changes: Partial<CheckpointDraft> = {}): CheckpointDraft {
  return {
    parent, step, traces: 16, datums: 16, tokens: 64, meanReward: 0.5, learningRate: 1e-4, loss: 'importance_sampling', metrics: { reward: 0.5 }, jobId: 'job-1',
    hashes: { config: 'c', taskset: 't', reward: 'r' }, ...changes,
  };
}

/** A state writer in which every weight is `value`. */
export function writeState(value: number): (directory: string) => Promise<void> {
  return async (directory) => {
    const tensor: StoredTensor = { dtype: 'F32', shape: [2, 3], data: new Float32Array(6).fill(value) };
    await writeSafetensors(join(directory, 'weights.safetensors'), new Map([['w', tensor]]));
    await writeSafetensors(join(directory, 'optimizer.safetensors'), new Map([['w.m', tensor]]));
  };
}

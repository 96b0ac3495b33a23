/** A model small enough to learn something in a second: random weights, one token per character. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { arithmeticCharacters, characterTokenizer, createRandomModel } from '../../src/models/index.ts';
import { fromHome } from './binary.ts';

const CONTEXT = 32;

/** Writes `tiny/` and a pipeline `tiny.yaml` that warms it up and then rewards it for one-digit sums. */
export async function writeTinyProject(folder: string, { sft = 12, grpo = 4, more = '' } = {}): Promise<string> {
  const { files, vocabularySize, padTokenId, bosTokenId, eosTokenId } = characterTokenizer({ characters: arithmeticCharacters, contextLength: CONTEXT });
  await createRandomModel({
    directory: join(folder, 'tiny'),
    config: {
      ...{ model_type: 'llama', architectures: ['LlamaForCausalLM'], hidden_size: 32, intermediate_size: 64, num_hidden_layers: 1, num_attention_heads: 2 },
      ...{ num_key_value_heads: 2, hidden_act: 'silu', max_position_embeddings: CONTEXT, vocab_size: vocabularySize, rms_norm_eps: 1e-5, rope_theta: 10000 },
      ...{ tie_word_embeddings: true, pad_token_id: padTokenId, bos_token_id: bosTokenId, eos_token_id: eosTokenId },
    },
    tokenizer: files,
    seed: 1,
  });
  await mkdir(join(folder, 'rewards'), { recursive: true });
  await writeFile(join(folder, 'rewards', 'digits.ts'), 'export default (completion: string): number => Number(/^\\d+$/.test(completion));\n');
  const text = `name: tiny
seed: 3
model: { fork: ./tiny, name: tiny-rl, threads: 1 }
taskset: { source: builtin:arith, args: { operations: [add], digits: 1 }, split: { train: 40, eval: 10 } }
agent: { kind: completion, max_tokens: 3, temperature: 1 }
reward:
  - { kind: numeric_match, weight: 0.5 }
  - { kind: module, path: ./rewards/digits.ts, weight: 0.5 }
group: 4
batch: 4
${more}
steps:
  - { kind: sft, steps: ${sft}, batch: 16, train: { learning_rate: 1e-2 }, eval: { every: 0 } }
  - { kind: grpo, steps: ${grpo}, train: { learning_rate: 1e-3 }, eval: { every: 2 } }
`;
  await writeFile(join(folder, 'tiny.yaml'), text);
  return text;
}

/** The same pipeline, playing the game of several turns that ships; `game` is another module of its templates. */
export const inTurns = (text: string, game = fromHome('examples/environments/guess.ts')): string => text
  .replace(/taskset: .*/, `taskset: { source: ${game}, split: { train: 40, eval: 10 } }`)
  .replace(/agent: .*/, 'agent: { kind: completion, max_tokens: 2, max_steps: 3, temperature: 1 }')
  .replace(/reward:\n(?: {2}- .*\n)+/, 'reward: [{ kind: task }]\n')
  .replace('kind: sft,', `kind: sft, taskset: { source: ${fromHome('examples/environments/guess-form.ts')}, split: { train: 1000, eval: 0 } }, reward: [{ kind: exact_match }],`);

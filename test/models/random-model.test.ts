import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AutoModelForCausalLM, AutoTokenizer, env, type PreTrainedTokenizer, type Tensor } from '@huggingface/transformers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { arithmeticCharacters, characterTokenizer, createRandomModel } from '../../src/models/index.ts';
import { floatValues, readModel } from '../../src/onnx/index.ts';

const tokenizer = characterTokenizer({ characters: arithmeticCharacters, contextLength: 64 });
const config = {
  architectures: ['LlamaForCausalLM'], model_type: 'llama', vocab_size: tokenizer.vocabularySize, hidden_size: 32, intermediate_size: 48, num_hidden_layers: 2,
  num_attention_heads: 4, num_key_value_heads: 2, max_position_embeddings: 64, tie_word_embeddings: true, bos_token_id: 1, eos_token_id: 2, pad_token_id: 0,
};

let directory: string;
const made = (): string => join(directory, 'made');
beforeAll(async () => {
  env.allowRemoteModels = false;
  directory = await mkdtemp(join(tmpdir(), 'rlrun-random-'));
  await createRandomModel({ directory: made(), config, tokenizer: tokenizer.files, seed: 5 });
});
afterAll(() => rm(directory, { recursive: true }));

describe('random models', () => {
  test.each([
    [{ hidden_size: 1_000_000, intermediate_size: 1_000_000, vocab_size: 50_000 }, /config.json: the [\d,]+ weights of hidden_size 1000000, intermediate_size 1000000 and 2 layers, made and written, take [\d,.]+ GB; this machine has [\d,.]+ GB of memory/],
    [{ intermediate_size: 1_000_000_000_000 }, /intermediate_size 1000000000000 and 2 layers/],
    [{ max_position_embeddings: 1_000_000_000_000 }, /config.json: the rotary tables of max_position_embeddings 1000000000000 take/],
    [{ num_hidden_layers: 1_000_000_000 }, /num_hidden_layers is 1000000000, expected at most 10000/],
  ])('a shape that no memory holds is refused before any of it is made: %o', async (shape, message) => {
    const before = process.memoryUsage.rss();
    await expect(createRandomModel({ directory: join(directory, 'huge'), config: { ...config, ...shape }, tokenizer: tokenizer.files, seed: 5 })).rejects.toThrow(message);
    expect(process.memoryUsage.rss() - before).toBeLessThan(200e6);
  });

  test('a signal is heard while weights are drawn', async () => {
    const abort = new AbortController();
    const large = { ...config, vocab_size: 40_000, hidden_size: 512 };
    const making = createRandomModel({ directory: join(directory, 'stopped'), config: large, tokenizer: tokenizer.files, seed: 5, signal: abort.signal });
    setImmediate(() => abort.abort());
    await expect(making).rejects.toThrow(/aborted/);
    expect(await readdir(directory)).not.toContain('stopped');
  });

  test('weights are normal with standard deviation 0.02, norms are 1', () => {
    const { initializers } = readModel(join(made(), 'onnx', 'model.onnx'));
    const values = floatValues(initializers.get('model.embed_tokens.weight')!);
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
    // Three standard errors.
    expect(Math.abs(mean)).toBeLessThan((3 * 0.02) / Math.sqrt(values.length));
    expect(Math.abs(deviation - 0.02)).toBeLessThan((3 * 0.02) / Math.sqrt(2 * values.length));
    expect([...new Set(floatValues(initializers.get('model.norm.weight')!))]).toEqual([1]);
  });

  test('the same seed gives the same bytes, another seed other weights', async () => {
    const graph = async (name: string, seed: number): Promise<Buffer> => {
      await createRandomModel({ directory: join(directory, name), config, tokenizer: tokenizer.files, seed });
      return readFile(join(directory, name, 'onnx', 'model.onnx'));
    };
    const original = await readFile(join(made(), 'onnx', 'model.onnx'));
    expect((await graph('same', 5)).equals(original)).toBe(true);
    expect((await graph('other', 6)).equals(original)).toBe(false);
  });

  test('an existing directory is left alone, and a bad config leaves nothing', async () => {
    await expect(createRandomModel({ directory: made(), config, tokenizer: tokenizer.files, seed: 5 })).rejects.toMatchObject({ kind: 'conflict' });
    await expect(createRandomModel({ directory: join(directory, 'bad'), config: { ...config, hidden_size: 0 }, tokenizer: tokenizer.files, seed: 5 })).rejects.toThrow(/hidden_size is 0/);
    expect((await readdir(directory)).filter((name) => name.includes('bad'))).toEqual([]);
  });

  test('stock transformers.js generates from a ragged batch as from single prompts', async () => {
    const [tok, model] = [await AutoTokenizer.from_pretrained(made()), await AutoModelForCausalLM.from_pretrained(made())];
    const generate = async (texts: string[]): Promise<bigint[][]> => {
      const inputs = tok(texts, { padding: true });
      const output = (await model.generate({ ...inputs, max_new_tokens: 8, do_sample: false })) as Tensor;
      return output.tolist().map((row: bigint[]) => row.slice(-8));
    };
    const together = await generate(['12+34=', '1+2=', 'hello']);
    expect(together).toEqual([...(await generate(['12+34='])), ...(await generate(['1+2='])), ...(await generate(['hello']))]);
    await model.dispose();
  });
});

describe('the character tokenizer', () => {
  let tok: PreTrainedTokenizer;
  beforeAll(async () => {
    tok = await AutoTokenizer.from_pretrained(made());
  });

  test('one token per character, after <bos>', () => {
    const ids = [...'12 + 3 = 15\n'].map((character) => 4 + arithmeticCharacters.indexOf(character));
    expect(tok.encode('12 + 3 = 15\n')).toEqual([1, ...ids]);
    expect(tok.encode('12 + 3 = 15\n', { add_special_tokens: false })).toEqual(ids);
    expect([tok.pad_token_id, tok.convert_tokens_to_ids('<bos>'), tok.convert_tokens_to_ids('<eos>')]).toEqual([0, 1, 2]);
    expect(tok.padding_side).toBe('left');
  });

  test('every text of its characters comes back exactly', () => {
    for (const text of [arithmeticCharacters, ' hello ,  world . ', '\n\n', '1 - 2 = - 1', "(a+b)*(c-d)"]) {
      expect(tok.decode(tok.encode(text), { skip_special_tokens: true })).toBe(text);
    }
  });

  test('other characters are unknown, special tokens are recognised', () => {
    expect(tok.encode('é', { add_special_tokens: false })).toEqual([3]);
    expect(tok.encode('1<eos>', { add_special_tokens: false })).toEqual([5, 2]);
  });

  test('a character listed twice is a mistake', () => {
    expect(() => characterTokenizer({ characters: 'aba', contextLength: 4 })).toThrow(/listed twice/);
  });
});

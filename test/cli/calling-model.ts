/** A chat model that calls tools without having learnt to: random weights, and a vocabulary in which a whole call is one token. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { characterTokenizer, createRandomModel } from '../../src/models/index.ts';

const CONTEXT = 96;
const called = (inside: string): string => `<tool_call>${inside}</tool_call>`;
/** Calls well and badly: of a tool, of the same with arguments that it refuses, of none that there is, of nothing that can be read. */
const CALLS = [
  ...[1, 2, 3].map((n) => called(`{"name": "take", "arguments": {"n": ${n}}}`)),
  called('{"name": "take", "arguments": {"n": "x"}}'),
  called('{"name": "give", "arguments": {}}'),
  called('{"name": take}'),
];

/** Tells tools by their names, and writes calls as Hermes does. */
const TEMPLATE = `
{%- if tools %}{{ '<s>' }}{% for tool in tools %}{{ tool.function.name }}{% endfor %}{{ '<eos>' }}{% endif -%}
{%- for m in messages -%}
  {{- '<' + m.role[0] + '>' + m.content }}{% for call in m.tool_calls or [] %}{{ '<tool_call>{"name": "' + call.function.name + '", "arguments": ' + (call.function.arguments | tojson) + '}</tool_call>' }}{% endfor %}{{ '<eos>' -}}
{%- endfor -%}
{%- if add_generation_prompt %}{{ '<a>' }}{% endif -%}`;

/** Writes `tiny/`, `tools.mjs` and `tiny.yaml`, of two steps. `slow`: what a call waits for, in JavaScript. */
export async function writeCallingProject(folder: string, { slow = '0' } = {}): Promise<void> {
  const { files, vocabularySize, padTokenId, bosTokenId, eosTokenId } = characterTokenizer({ characters: '0123456789<>abegiknorstuwxE: ', contextLength: CONTEXT });
  const tokenizerFile = files['tokenizer.json'] as { added_tokens: object[]; model: { vocab: Record<string, number> } };
  CALLS.forEach((content, index) => {
    tokenizerFile.model.vocab[content] = vocabularySize + index;
    tokenizerFile.added_tokens.push({ id: vocabularySize + index, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: false });
  });
  await createRandomModel({
    directory: join(folder, 'tiny'),
    config: {
      ...{ model_type: 'llama', architectures: ['LlamaForCausalLM'], hidden_size: 32, intermediate_size: 64, num_hidden_layers: 1, num_attention_heads: 2 },
      ...{ num_key_value_heads: 2, hidden_act: 'silu', max_position_embeddings: CONTEXT, vocab_size: vocabularySize + CALLS.length, rms_norm_eps: 1e-5, rope_theta: 10000 },
      ...{ tie_word_embeddings: true, pad_token_id: padTokenId, bos_token_id: bosTokenId, eos_token_id: eosTokenId },
    },
    tokenizer: files,
    seed: 1,
  });
  const config = join(folder, 'tiny', 'tokenizer_config.json');
  await writeFile(config, JSON.stringify({ ...JSON.parse(await readFile(config, 'utf8')) as object, chat_template: TEMPLATE }));
  await writeFile(join(folder, 'tools.mjs'), `
    export const tools = {
      take: {
        description: 'Takes n.',
        parameters: { type: 'object', properties: { n: { type: 'number' } }, required: ['n'] },
        async run({ n }) { await new Promise((resolve) => setTimeout(resolve, ${slow})); return 'took ' + n; },
      },
    };`);
  await writeFile(join(folder, 'tasks.jsonl'), ['a', 'b', 'e', 'g'].map((prompt) => `${JSON.stringify({ prompt, answer: prompt })}\n`).join(''));
  await writeFile(join(folder, 'tiny.yaml'), `name: tiny
seed: 3
model: { fork: ./tiny, name: tiny-rl, threads: 1 }
taskset: { source: ./tasks.jsonl, split: { train: 4, eval: 0 } }
tools: [{ kind: module, path: ./tools.mjs }]
agent: { kind: chat, max_tokens: 3, max_steps: 4 }
reward: [{ kind: length, min: 0, max: 2 }]
group: 8
batch: 4
steps: 2
train: { learning_rate: 1e-3 }
`);
}

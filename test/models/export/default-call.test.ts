/** An export through the plain call of the library that it is made for: what it answers is what rlrun answers. */
import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AutoTokenizer, env, pipeline } from '@huggingface/transformers';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { exportCheckpoint, type ExportDtype } from '../../../src/models/index.ts';
import { loadTokenizer } from '../../../src/policy/tokenizer/load-tokenizer.ts';
import { drawAll, openCore, request } from '../../policy/support.ts';
import { createProject, type Project } from '../support/tiny.ts';

const arith = new URL('../../../models/arith-tiny', import.meta.url).pathname;
const prompts = ['12+34=', '7+5=', '40-13=', '99-9=', '3+3=', '25+25=', '81-17=', '60+7='];

let project: Project;
beforeAll(() => {
  env.allowRemoteModels = false;
});
beforeEach(async () => {
  project = await createProject();
});
afterEach(() => project[Symbol.asyncDispose]());

/** A copy of the embedded base whose tokenizer_config.json does not speak of marks, exported. */
async function exported(dtype: ExportDtype): Promise<string> {
  const source = join(project.directory, 'arith');
  await cp(arith, source, { recursive: true });
  const path = join(source, 'tokenizer_config.json');
  const { add_bos_token: _, ...silent } = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>;
  await writeFile(path, JSON.stringify(silent));
  await project.store.fork({ source: './arith', slug: 'arith' });
  const directory = join(project.directory, 'out');
  await exportCheckpoint({ model: await project.store.model('arith'), checkpoint: null, directory, format: 'transformers.js', dtype });
  return directory;
}

async function answersOfPipeline(directory: string, options: object = {}): Promise<string[]> {
  const generate = await pipeline('text-generation', directory);
  const answers: string[] = [];
  for (const prompt of prompts) {
    const [{ generated_text: text }] = (await generate(prompt, { max_new_tokens: 8, do_sample: false, ...options })) as [{ generated_text: string }];
    answers.push(text.slice(prompt.length));
  }
  await generate.dispose();
  return answers;
}

async function ownAnswers(): Promise<string[]> {
  const [engine, tokenizer] = [await openCore(arith), await loadTokenizer(arith)];
  const requests = prompts.map((prompt, index) => request(index, tokenizer.encode(prompt, { addSpecialTokens: true }), { temperature: 0 }));
  const samples = await drawAll(engine, requests);
  await engine.close();
  return samples.map(({ outputTokenIds }) => tokenizer.decode(outputTokenIds));
}

describe("transformers.js' pipeline answers as rlrun does", () => {
  test.each(['fp32', 'fp16'] as const)('%s', async (dtype) => {
    const directory = await exported(dtype);
    const own = await ownAnswers();
    expect(await answersOfPipeline(directory)).toEqual(own);
    expect(await answersOfPipeline(directory, { add_special_tokens: false })).not.toEqual(own);
  });

  test.each(['q8', 'q4'] as const)('%s, as far as rounded weights can', async (dtype) => {
    const directory = await exported(dtype);
    expect(await answersOfPipeline(directory)).toEqual(await answersOfPipeline(directory, { add_special_tokens: true }));
  });

  test('the embedded base as it ships', async () => {
    expect(await answersOfPipeline(arith)).toEqual(await ownAnswers());
  });
});

describe('marks of a tokenizer', () => {
  const special = (id: string) => ({ SpecialToken: { id, type_id: 0 } });
  const template = (...single: object[]) => ({ type: 'TemplateProcessing', single, pair: [], special_tokens: {} });
  const text = { Sequence: { id: 'A', type_id: 0 } };

  test.each([
    ['a first token', template(special('<bos>'), text), {}, { add_bos_token: true }],
    ['behind ByteLevel', { type: 'Sequence', processors: [{ type: 'ByteLevel' }, template(special('<bos>'), text)] }, {}, { add_bos_token: true }],
    ['although the file says no', template(special('<bos>'), text), { add_bos_token: false }, { add_bos_token: true }],
    ['a last one', template(special('<bos>'), text, special('<eos>')), {}, { add_bos_token: true, add_eos_token: true }],
    ['the file does not name it', template(special('<bos>'), text), { bos_token: null }, { add_bos_token: true, bos_token: '<bos>' }],
    ['another token than the named one', template(special('<s>'), text), {}, {}],
    ['none', { type: 'ByteLevel' }, {}, {}],
    ['no post-processor', null, {}, {}],
  ])('%s', async (_, processor, settings, said) => {
    const source = join(project.directory, 'arith');
    await cp(arith, source, { recursive: true });
    const edit = async (name: string, change: (json: Record<string, unknown>) => object): Promise<void> => writeFile(join(source, name), JSON.stringify(change(JSON.parse(await readFile(join(source, name), 'utf8')) as Record<string, unknown>)));
    await edit('tokenizer.json', (json) => ({ ...json, post_processor: processor }));
    await edit('tokenizer_config.json', ({ add_bos_token: __, ...json }) => ({ ...json, ...settings }));
    await project.store.fork({ source: './arith', slug: 'arith' });
    const directory = join(project.directory, 'out');
    await exportCheckpoint({ model: await project.store.model('arith'), checkpoint: null, directory, format: 'safetensors', dtype: 'fp32' });
    const before = JSON.parse(await readFile(join(source, 'tokenizer_config.json'), 'utf8')) as object;
    expect(JSON.parse(await readFile(join(directory, 'tokenizer_config.json'), 'utf8'))).toEqual({ ...before, ...said });
    if (processor !== null) expect((await AutoTokenizer.from_pretrained(directory)).encode('1')).toEqual((await AutoTokenizer.from_pretrained(source)).encode('1'));
  });
});

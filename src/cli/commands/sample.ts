/** `rlrun sample MODEL PROMPT`: what a model answers, as it is drawn. */
import { stripVTControlCharacters } from 'node:util';
import { createAgent } from '../../agents/index.ts';
import { openWeights } from '../../pipeline/index.ts';
import type { Handler } from '../types.ts';
import { CommandError } from '../exit-codes.ts';
import { storeOf } from '../store.ts';

const DEFAULT_MAX_TOKENS = 64;

export const sample: Handler = async ({ args: [slug = '', prompt = ''], flags, io }) => {
  const model = await (await storeOf(io)).model(slug);
  const checkpoint = flags.checkpoint === undefined ? await model.head() : flags.checkpoint === 'base' ? null : await model.find(flags.checkpoint);
  const { baseDirectory, train } = model.record;
  const { engine, tokenizer } = await openWeights({ modelDirectory: baseDirectory, device: flags.device ?? 'cpu', threads: flags.threads ?? 0, train, microBatchTokens: 1024, maxRows: 1, reference: false });
  await using _ = engine;
  if (checkpoint) await engine.readState(model.stateDirectory(checkpoint.id));
  const { contextLength } = engine.info;
  if (flags.chat && !tokenizer.applyChatTemplate) throw new CommandError('usage', `${slug} has no chat template.`, 'Leave out --chat: the model goes on from the text as it is.');
  // As a pipeline would put it to the model; an answer that does not fit is cut below.
  const settings = { kind: flags.chat ? 'chat' : 'completion', system: null, maxTokens: 1, temperature: 0, topP: 1, topK: 0, stop: [] } as const;
  const prepared = createAgent({ settings, tokenizer, contextLength }).prepare({ id: 'sample', prompt, answer: null, args: {} });
  if (!prepared.ok) {
    if (prepared.promptTokens === undefined) throw new CommandError('usage', 'The prompt is empty.', `For example: rlrun sample ${slug} "12+34="`);
    throw new CommandError('usage', `The prompt has ${prepared.promptTokens} tokens; the model's context holds ${contextLength}.`, 'Shorten it.');
  }
  const promptTokenIds = prepared.tokenIds;

  // Words come out whole: a token may be half a character, so the text so far is decoded each time and its new part written.
  const drawn: number[] = [];
  let written = '';
  const stream = (token: number) => {
    drawn.push(token);
    const text = stripVTControlCharacters(tokenizer.decode(drawn));
    if (text.endsWith('\uFFFD') || !text.startsWith(written)) return;
    io.stdout.write(text.slice(written.length));
    written = text;
  };
  const request = {
    id: 'sample',
    promptTokenIds,
    maxTokens: Math.min(flags.maxTokens ?? DEFAULT_MAX_TOKENS, contextLength - promptTokenIds.length),
    temperature: flags.temperature ?? 0,
    ...{ topP: 1, topK: 0, stopTokenIds: tokenizer.endTokenIds, stopStrings: [] },
    key: [flags.seed ?? 0, 0, 0, 0] as const,
  };
  const options = { signal: io.signal, ...(flags.json ? {} : { onToken: (_: string, token: number) => stream(token) }) };
  for await (const { outputTokenIds, outputLogprobs, stopReason } of engine.sampler.sample([request], options)) {
    const completion = tokenizer.decode(outputTokenIds);
    if (flags.json) io.json({ type: 'sample', model: slug, checkpoint: checkpoint?.name ?? null, prompt, completion, stopReason, promptTokenIds, outputTokenIds, outputLogprobs });
    else io.stdout.write('\n');
  }
  return 'ok';
};

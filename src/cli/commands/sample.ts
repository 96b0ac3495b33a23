/** `rlrun sample MODEL [PROMPT]`: what a model answers, as it is drawn; without a prompt, to one line of a terminal after the other. */
import { text as readAll } from 'node:stream/consumers';
import { createAgent } from '../../agents/index.ts';
import { openWeights } from '../../pipeline/index.ts';
import type { ChatMessage } from '../../tasks/index.ts';
import { CommandError } from '../exit-codes.ts';
import type { Io } from '../io.ts';
import { converse } from '../converse.ts';
import { storeOf } from '../store.ts';
import type { Handler, Invocation } from '../types.ts';

const DEFAULT_MAX_TOKENS = 64;

export const sample: Handler = async (invocation) => {
  const { args: [slug = '', given], flags, io } = invocation;
  if (flags.system !== undefined && !flags.chat) throw new CommandError('usage', 'A system message needs a chat.', 'Add --chat, or put its text at the beginning of the prompt.');
  const prompt = await promptOf(given, io);
  if (prompt === null && flags.json) throw new CommandError('usage', 'There is no prompt.', `For example: rlrun sample ${slug} "12+34=" --json`);
  await using model = await openForSampling(slug, invocation);
  if (prompt !== null) {
    await model.answer(prompt, io.signal);
    return 'ok';
  }
  io.say(`${slug} at ${model.checkpoint ?? 'base'}. ${flags.chat ? 'It remembers what was said.' : 'It goes on from each line by itself.'} Ctrl-D leaves.`);
  const said: ChatMessage[] = [];
  await converse(io, async (line, signal) => {
    if (!flags.chat) return void (await model.answer(line, signal));
    const messages: ChatMessage[] = [...said, { role: 'user', content: line }];
    const content = await model.answer(messages, signal);
    said.splice(0, said.length, ...messages, { role: 'assistant', content });
  });
  return 'ok';
};

/** Null for a terminal that is asked line by line. What is piped in has a line break at its end that nobody meant. */
async function promptOf(given: string | undefined, { stdin }: Io): Promise<string | null> {
  if (given !== undefined && given !== '-') return given;
  if (given === undefined && stdin.isTTY) return null;
  return (await readAll(stdin)).replace(/\r?\n$/, '');
}

interface SampledModel extends AsyncDisposable {
  /** Its name; null for the base. */
  checkpoint: string | null;
  /** Writes the answer as it is drawn, and returns it whole. */
  answer(prompt: string | ChatMessage[], signal: AbortSignal): Promise<string>;
}

async function openForSampling(slug: string, { flags, io }: Invocation): Promise<SampledModel> {
  const model = await (await storeOf(io)).model(slug);
  const checkpoint = flags.checkpoint === undefined ? await model.head() : flags.checkpoint === 'base' ? null : await model.find(flags.checkpoint);
  const { baseDirectory, train } = model.record;
  const { engine, tokenizer } = await openWeights({ modelDirectory: baseDirectory, device: flags.device ?? 'cpu', threads: flags.threads ?? 0, train, microBatchTokens: 1024, maxRows: 1, reference: false });
  await using opened = new AsyncDisposableStack();
  opened.use(engine);
  if (checkpoint) await engine.readState(await model.verifiedDirectory(checkpoint.id));
  const { contextLength } = engine.info;
  if (flags.chat && !tokenizer.applyChatTemplate) throw new CommandError('usage', `${slug} has no chat template.`, 'Leave out --chat: the model goes on from the text as it is.');
  // As a pipeline would put it to the model; an answer that does not fit is cut below.
  const settings = { kind: flags.chat ? 'chat' : 'completion', system: flags.system ?? null, templateArgs: {}, maxTokens: 1, temperature: 0, topP: 1, topK: 0, stop: [], maxSteps: 1, toolFormat: 'auto', maxToolCharacters: 8192 } as const;
  const agent = createAgent({ settings, tokenizer, contextLength });

  async function answer(prompt: string | ChatMessage[], signal: AbortSignal): Promise<string> {
    const prepared = agent.prepare({ id: 'sample', prompt, answer: null, args: {} });
    if (!prepared.ok) {
      if (prompt === '' && !flags.chat) throw new CommandError('usage', 'The prompt is empty.', `For example: rlrun sample ${slug} "12+34="`);
      if (prepared.promptTokens === undefined) throw new CommandError('usage', `The prompt cannot be put to the model: ${prepared.error.message.replace(/^task sample: /, '')}.`, flags.chat ? 'Leave out --chat: the model goes on from the text as it is.' : null);
      throw new CommandError('usage', `The prompt has ${prepared.promptTokens} tokens; the model's context holds ${contextLength}.`, 'Shorten it.');
    }
    const promptTokenIds = prepared.tokenIds;

    // Words come out whole: a token may be half a character, so the text so far is decoded each time and its new part written.
    const drawn: number[] = [];
    let written = '';
    const stream = (token: number) => {
      drawn.push(token);
      const text = tokenizer.decode(drawn);
      if (text.endsWith('\uFFFD') || !text.startsWith(written)) return;
      io.stream(text.slice(written.length));
      written = text;
    };
    const request = {
      id: 'sample',
      promptTokenIds,
      maxTokens: Math.min(flags.maxTokens ?? DEFAULT_MAX_TOKENS, contextLength - promptTokenIds.length),
      temperature: flags.temperature ?? 0,
      ...{ topP: 1, topK: 0, stopTokenIds: agent.stopTokenIds, stopStrings: [] },
      key: [flags.seed ?? 0, 0, 0, 0] as const,
    };
    const options = { signal, ...(flags.json ? {} : { onToken: (_: string, token: number) => stream(token) }) };
    for await (const { outputTokenIds, outputLogprobs, stopReason } of engine.sampler.sample([request], options)) {
      const completion = tokenizer.decode(outputTokenIds);
      if (flags.json) io.json({ type: 'sample', model: slug, checkpoint: checkpoint?.name ?? null, prompt, completion, stopReason, promptTokenIds, outputTokenIds, outputLogprobs });
      else io.stream('\n');
      return completion;
    }
    return '';
  }
  const held = opened.move();
  return { checkpoint: checkpoint?.name ?? null, answer, [Symbol.asyncDispose]: () => held.disposeAsync() };
}

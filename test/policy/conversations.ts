/** @file Random conversations with an engine: who speaks when, with how much patience. The engine under test has all at once, another one each alone. */
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { EngineCore } from '../../src/policy/engine-core.ts';
import type { Sample, SampleRequest } from '../../src/policy/types.ts';
import { exportedModel } from './exporters.ts';
import { never, openCore, randomPrompt, request, sequenceOf, temporaryDirectory, tinyModel } from './support.ts';

interface Turn {
  /** Turns of the event loop before it is asked for. */
  readonly wait: number;
  /** Tokens that somebody else says first. */
  readonly heard: number;
  readonly maxTokens: number;
  readonly keep: boolean;
  readonly head: keyof typeof HEADS;
  /** Cancelled after so many tokens of its own. */
  readonly patience: number | null;
}

interface Conversation {
  /** Those with the same number begin with the same prompt. */
  readonly prompt: number;
  readonly turns: readonly Turn[];
}

const HEADS = { plain: {}, greedy: { temperature: 0 }, filtered: { topK: 6, topP: 0.9 }, exact: { exact: true }, 'exact and filtered': { exact: true, topP: 0.8 }, 'exact and greedy': { exact: true, temperature: 0 } } as const;

const turn: fc.Arbitrary<Turn> = fc.record({
  wait: fc.integer({ min: 0, max: 12 }), heard: fc.integer({ min: 0, max: 7 }), maxTokens: fc.integer({ min: 1, max: 7 }), keep: fc.boolean(),
  head: fc.constantFrom(...(Object.keys(HEADS) as (keyof typeof HEADS)[])),
  patience: fc.option(fc.integer({ min: 0, max: 4 }), { freq: 8 }),
});

const conversations = fc.array(fc.record({ prompt: fc.integer({ min: 0, max: 3 }), turns: fc.array(turn, { minLength: 1, maxLength: 4 }) }), { minLength: 1, maxLength: 6 });

/** A call that was made, and its answer. */
interface Said {
  readonly request: SampleRequest;
  readonly sample: Sample;
}

/** Holds the conversations side by side. `scale`: how long what others say is. */
async function converse(engine: EngineCore, all: readonly Conversation[], scale = 1): Promise<Said[]> {
  const said: Said[] = [], { contextLength, vocabularySize } = engine.info;
  await Promise.all(all.map(async ({ prompt, turns }, index) => {
    let text = randomPrompt(prompt, scale * (9 + 3 * prompt), vocabularySize);
    for (const [at, { wait, heard, maxTokens, keep, head, patience }] of turns.entries()) {
      for (let tick = 0; tick < wait; tick++) await new Promise(setImmediate);
      text = [...text, ...randomPrompt(100 + 10 * index + at, scale * heard + 1, vocabularySize).slice(1)];
      if (text.length >= contextLength) return;
      let drawn = 0;
      const asked = request(index, text, { key: [3, at, index, 0], maxTokens, keep, ...HEADS[head] });
      let sample: Sample | undefined;
      await engine.sample([asked], {
        cancelled: () => patience !== null && drawn >= patience,
        onToken: () => { drawn += 1; },
        onSample: (each) => { sample = each; },
      });
      said.push({ request: asked, sample: sample! });
      if (sample!.stopReason === 'cancelled') return;
      text = [...text, ...sample!.outputTokenIds];
      if (at % 3 === 2) engine.release(text);
    }
  }));
  return said;
}

/** Each is what it would have been alone; `alone` keeps nothing. */
async function expectAsAlone(said: readonly Said[], alone: EngineCore): Promise<void> {
  for (const { request: asked, sample } of said) {
    let expected: Sample | undefined;
    await alone.sample([{ ...asked, keep: false }], { cancelled: never, onSample: (each) => { expected = each; } });
    const count = sample.outputTokenIds.length, { outputTokenIds, outputLogprobs, stopReason } = expected!;
    expect(sample.outputTokenIds).toEqual(outputTokenIds.slice(0, count));
    if (sample.stopReason !== 'cancelled') expect([sample.stopReason, count]).toEqual([stopReason, outputTokenIds.length]);
    sample.outputLogprobs.forEach((logprob, at) => expect(Math.abs(logprob - outputLogprobs[at]!)).toBeLessThan(1e-5));
  }
}

/** What the sampler says of plain draws is what the trainer says of the whole text. */
async function expectAsForward(said: readonly Said[], engine: EngineCore): Promise<void> {
  const plain = said.filter(({ request: { topK, topP }, sample }) => topK === 0 && topP === 1 && sample.outputTokenIds.length > 0);
  const batch = { sequences: plain.map(({ request: asked, sample }) => sequenceOf({ ...asked, temperature: asked.temperature || 1 }, sample, 1)) };
  const { logprobs } = await engine.forward(batch, never);
  batch.sequences.forEach(({ actionMask, samplingLogprobs }, index) => actionMask.forEach((mask, at) => {
    if (mask === 1) expect(Math.abs(logprobs[index]![at]! - samplingLogprobs[at]!)).toBeLessThan(1e-5);
  }));
}

const models: readonly [name: string, scale: number, make: (directory: string) => Promise<string>][] = [
  ['our own Llama', 1, tinyModel],
  ['long prompts, read in parts', 15, (directory) => tinyModel(directory, { config: { max_position_embeddings: 512 } })],
  ['a window of attention', 1, (directory) => tinyModel(directory, { config: { model_type: 'qwen3', use_sliding_window: true, sliding_window: 7, max_window_layers: 1, tie_word_embeddings: false } })],
  ...['llama-genai', 'qwen3-traced'].map((name): [string, number, (directory: string) => Promise<string>] => [name, 1, (directory) => exportedModel(name, directory)]),
];

/** The tests, over so many random scenarios for each model and each amount of what may be kept. */
export function heldSideBySide({ scenarios }: { scenarios: number }): void {
  describe.each(models)('conversations with %s', (name, scale, make) => {
    let scratch: Awaited<ReturnType<typeof temporaryDirectory>>, directory: string;
    beforeAll(async () => {
      scratch = await temporaryDirectory();
      directory = await make(join(scratch.path, name.replaceAll(/\W+/g, '-')));
    });
    afterAll(() => scratch[Symbol.asyncDispose]());

    test.each([['nothing is kept', 0, 5], ['little is kept', 12_000 * scale, 3], ['everything is kept', 2 ** 26, 64]] as const)('say what each would say alone: %s', async (_, keptBytes, maxRows) => {
      const [engine, alone] = [await openCore(directory, { keptBytes, maxRows }), await openCore(directory, { keptBytes: 0, maxRows: 1 })];
      await fc.assert(fc.asyncProperty(conversations, async (all) => {
        const said = await converse(engine, all, scale);
        expect(said.length).toBeGreaterThan(0);
        await expectAsAlone(said, alone);
        await expectAsForward(said, engine);
      }), { numRuns: scenarios, seed: 20 });
      await engine.close();
      await alone.close();
    });
  });
}

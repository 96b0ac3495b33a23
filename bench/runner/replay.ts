/**
 * @file A program that does with the engine what a recorded job did with it, and nothing else: no tasks, rewards, events, nor files beside the
 * states that the engine writes. A call waits for the one before; saving goes on beside the next, as in a job.
 */
import { mkdir } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { deserialize } from 'node:v8';
import { openEngine } from '../../dist/policy/index.js';
import type { Engine } from '../../src/policy/types.ts';
import type { Calls } from '../../src/policy/protocol.ts';
import type { Recorded } from './tap.ts';

/** One record at a time: the whole tape as objects would be garbage collected along with what is measured. */
function* records(path: string): Generator<Recorded> {
  const tape = readFileSync(path);
  for (let at = 0; at < tape.length; ) {
    const length = tape.readUInt32LE(at);
    yield deserialize(tape.subarray(at + 4, at + 4 + length)) as Recorded;
    at += 4 + length;
  }
}

const [tape, folder] = process.argv.slice(2) as [string, string];
let saving: Promise<void> = Promise.resolve();
let saves = 0;
/** About as many states as a job keeps of such a model. */
const KEPT = 100;

const calls: { [K in keyof Calls]: (engine: Engine, argument: Calls[K]) => Promise<unknown> } = {
  async sample(engine, { requests }) {
    for await (const _ of engine.sampler.sample(requests));
  },
  async release(engine, tokenIds) {
    engine.sampler.release(tokenIds);
  },
  forwardBackward: (engine, { batch, loss }) => engine.trainer.forwardBackward(batch, loss),
  forward: (engine, { batch }) => engine.trainer.forward(batch),
  zeroGrad: (engine) => engine.trainer.zeroGrad(),
  update: (engine, adam) => engine.trainer.update(adam),
  async writeState(engine) {
    const directory = join(folder, String(saves++ % KEPT));
    await mkdir(directory, { recursive: true });
    await saving;
    saving = engine.writeState(directory);
  },
  async readState() {
    throw new Error('The recorded job went back to an earlier checkpoint; record one that does not.');
  },
  reset: (engine) => engine.reset(),
  async close(engine) {
    await saving;
    await engine.close();
  },
};

let engine: Engine | undefined;
for (const record of records(tape)) {
  if ('options' in record) engine = await openEngine(record.options);
  else await (calls[record.call] as (engine: Engine, argument: unknown) => Promise<unknown>)(engine!, record.argument);
}

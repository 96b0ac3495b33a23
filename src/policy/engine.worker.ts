/** @file The worker that owns ONNX Runtime, because its runs block the thread they are on. Between two runs it hears what is asked for next. */
import { parentPort } from 'node:worker_threads';
import { loadRuntime, OnnxError } from '../onnx/index.ts';
import { CallOrder, type Use } from './call-order.ts';
import { EngineCore } from './engine-core.ts';
import type { CallName, Calls, ErrorDetails, Opening, Reply, Request } from './protocol.ts';
import type { Sample } from './types.ts';

const port = parentPort;
if (port === null) throw new Error('Internal error: engine.worker runs only as a worker');
const reply = (message: Reply): void => port.postMessage(message);
/** Between threads an error keeps its message and stack alone; what a user can do about it goes along beside it. */
const errorOf = (error: unknown): { error: Error; details: ErrorDetails } => {
  if (!(error instanceof Error)) return { error: new Error(String(error)), details: {} };
  const { kind = error instanceof OnnxError ? 'invalid' : undefined, fix } = error as { kind?: unknown; fix?: unknown };
  return { error: portable(error), details: { ...(typeof kind === 'string' ? { kind } : {}), ...(typeof fix === 'string' ? { fix } : {}) } };
};

/** What a user's code names as the cause of an error may be anything, a function for one. */
function portable(error: Error): Error {
  try {
    return structuredClone(error);
  } catch {
    return Object.assign(new Error(error.message), { stack: error.stack });
  }
}

interface Context {
  id: number;
  cancelled: () => boolean;
}

const handlers: { [K in CallName]: (engine: EngineCore, argument: Calls[K], context: Context) => unknown } = {
  async sample(engine, { requests, streaming }, { id, cancelled }) {
    const onToken = streaming ? (request: string, tokenId: number, logprob: number) => reply({ kind: 'token', id, request, tokenId, logprob }) : undefined;
    const began = performance.now();
    // What one step of the sampler finishes goes out in one message, before the next step blocks this thread.
    let finished: Sample[] = [];
    const send = (): void => {
      if (finished.length > 0) reply({ kind: 'samples', id, samples: finished });
      finished = [];
    };
    await engine.sample(requests, { cancelled, onToken, onSample: (sample) => { if (finished.push(sample) === 1) setImmediate(send); } });
    send();
    return performance.now() - began;
  },
  release: (engine, tokenIds) => engine.release(tokenIds),
  forwardBackward: (engine, { batch, loss }, { cancelled }) => engine.forwardBackward(batch, loss, cancelled),
  forward: (engine, { batch }, { cancelled }) => engine.forward(batch, cancelled),
  zeroGrad: (engine) => engine.zeroGrad(),
  update: (engine, params) => engine.update(params),
  writeState: (engine, directory) => engine.writeState(directory),
  readState: (engine, directory) => engine.readState(directory),
  reset: (engine) => engine.reset(),
  close: (engine) => engine.close(),
};

const uses: { [K in CallName]: Use } = {
  sample: 'samples', release: 'none',
  forwardBackward: 'trains', forward: 'trains', zeroGrad: 'trains',
  writeState: 'saves',
  update: 'changes', readState: 'changes', reset: 'changes', close: 'changes',
};

async function serve(engine: EngineCore, { id, call, argument, cancel }: Request): Promise<void> {
  const flag = new Int32Array(cancel);
  try {
    const handler = handlers[call] as (engine: EngineCore, argument: unknown, context: Context) => unknown;
    const value = await handler(engine, argument, { id, cancelled: () => Atomics.load(flag, 0) === 1 });
    reply({ kind: 'result', id, value });
  } catch (error) {
    reply({ kind: 'error', id, ...errorOf(error) });
  }
  if (call === 'close') port!.close();
}

/** Serves the calls of an engine that is open. */
function server(engine: EngineCore): (request: Request) => void {
  const order = new CallOrder();
  return (request) => order.enter(uses[request.call], () => serve(engine, request));
}

async function open(options: Opening): Promise<void> {
  try {
    const engine = await EngineCore.open(options);
    receive = server(engine) as typeof receive;
    reply({ kind: 'opened', info: engine.info });
  } catch (error) {
    reply({ kind: 'failed-to-open', ...errorOf(error) });
  }
}

// The first message says what to open; until it comes, there is time to load what will be needed. If that fails, opening does too, and says why.
loadRuntime().catch(() => {});
let receive: (message: Opening | Request) => void = (message) => void open(message as Opening);
port.on('message', (message: Opening | Request) => receive(message));

/** @file One answer at a time from a sampler that takes many: what is asked in the same moment goes out together, so that equal prompts are read once. */
import type { Sample, SampleRequest, Sampler } from '../policy/types.ts';

export interface Asked {
  ask(request: SampleRequest): Promise<Sample>;
  /** Milliseconds in which anything was being drawn. */
  readonly drawnMs: number;
}

interface Waiting {
  request: SampleRequest;
  resolve: (sample: Sample) => void;
  reject: (error: unknown) => void;
}

export function askInTurns(sampler: Sampler, signal: AbortSignal): Asked {
  let waiting: Waiting[] = [];
  let [underWay, since, drawnMs] = [0, 0, 0];

  async function send(asked: readonly Waiting[]): Promise<void> {
    if (underWay++ === 0) since = performance.now();
    const byId = new Map(asked.map((each) => [each.request.id, each]));
    try {
      for await (const sample of sampler.sample(asked.map(({ request }) => request), { signal })) {
        byId.get(sample.id)!.resolve(sample);
        byId.delete(sample.id);
      }
      if (byId.size > 0) throw new Error(`Internal error: the sampler did not answer ${[...byId.keys()].join(', ')}`);
    } catch (error) {
      for (const { reject } of byId.values()) reject(error);
    } finally {
      if (--underWay === 0) drawnMs += performance.now() - since;
    }
  }

  return {
    ask: (request) => new Promise((resolve, reject) => {
      waiting.push({ request, resolve, reject });
      if (waiting.length > 1) return;
      setImmediate(() => {
        const asked = waiting;
        waiting = [];
        void send(asked);
      });
    }),
    get drawnMs() { return drawnMs; },
  };
}

/** @file Conversations against one turn of the same tokens, and beside one whose environment is slow. */
import { setTimeout } from 'node:timers/promises';
import { openEngine } from '../src/policy/index.ts';
import type { Engine, SampleRequest } from '../src/policy/types.ts';
import { median, round } from './numbers.ts';

interface Talk {
  readonly row: number;
  readonly group: number;
  readonly turns: number;
  readonly promptLength: number;
  /** Tokens drawn in a turn, and those that the environment says before the next. */
  readonly drawn: number;
  readonly heard: number;
  readonly waitMs?: number;
  readonly signal?: AbortSignal;
}

const VOCABULARY = 49_152;
const words = (row: number, length: number): number[] => Array.from({ length }, (_, at) => 4 + ((row * 131 + at * 17) % (VOCABULARY - 4)));
const open = (modelDirectory: string): Promise<Engine> => openEngine({ modelDirectory, device: 'cpu', threads: 0, train: { method: 'full' }, microBatchTokens: 8192, maxRows: 64, reference: false });

/** Seconds on the clock, and of the cores: others who use the machine lengthen these less. */
interface Cost { readonly clock: number; readonly cores: number }

async function costOf(work: () => Promise<unknown>): Promise<Cost> {
  const start = performance.now(), before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return { clock: (performance.now() - start) / 1000, cores: (user + system) / 1e6 };
}

/** One conversation, each turn a call of its own. */
async function talk(engine: Engine, step: number, { row, group, turns, promptLength, drawn, heard, waitMs, signal }: Talk): Promise<void> {
  let text = words(Math.floor(row / group), promptLength);
  for (let turn = 0; turn < turns; turn++) {
    if (signal?.aborted) break;
    const request: SampleRequest = {
      id: String(row), promptTokenIds: text, maxTokens: drawn, temperature: 1, topP: 1, topK: 0, stopTokenIds: [], stopStrings: [], key: [1, step, row, turn], keep: true,
    };
    for await (const { outputTokenIds } of engine.sampler.sample([request], signal ? { signal } : {})) text = [...text, ...outputTokenIds, ...words(row + turn, heard)];
    if (waitMs !== undefined) await setTimeout(waitMs, undefined, signal ? { signal } : {}).catch(() => {});
  }
  engine.sampler.release(text);
}

const ratios = (a: readonly Cost[], b: readonly Cost[]): Record<string, number> => {
  const paired = (of: keyof Cost): number => round(median(a.map((cost, at) => cost[of] / b[at]![of])));
  return { ratio: paired('clock'), ratio_of_core_seconds: paired('cores') };
};
const typical = (costs: readonly Cost[]): number => round(median(costs.map(({ clock }) => clock)), 1);

/** 64 conversations of 8 turns; then as many texts of the same length, which hear at the beginning what those heard in between. */
export async function conversation(directory: string, rounds: number): Promise<Record<string, unknown>> {
  const engine = await open(directory), shape = { group: 1, turns: 8, promptLength: 16, drawn: 12, heard: 4 };
  const all = (step: number, talks: Omit<Talk, 'row'>): Promise<Cost> => costOf(() => Promise.all(Array.from({ length: 64 }, (_, row) => talk(engine, step, { ...talks, row }))));
  const once = { ...shape, turns: 1, promptLength: shape.promptLength + shape.heard * (shape.turns - 1), drawn: shape.drawn * shape.turns };
  const many: Cost[] = [], single: Cost[] = [];
  for (let step = -1; step < rounds; step++) {
    const [a, b] = [await all(step + 1, shape), await all(step + 1, once)];
    if (step >= 0) { many.push(a); single.push(b); }
  }
  await engine.close();
  return { case: 'conversation, 135M shape', rows: 64, ...shape, seconds: typical(many), one_turn_seconds: typical(single), ...ratios(many, single), rounds };
}

/** 63 rows by themselves, then beside a conversation whose environment takes 500 ms a turn. */
export async function slowEnvironment(directory: string, rounds: number): Promise<Record<string, unknown>> {
  const engine = await open(directory), shape = { group: 8, turns: 1, promptLength: 16, drawn: 64, heard: 0 };
  const others = (step: number): Promise<Cost> => costOf(() => Promise.all(Array.from({ length: 63 }, (_, row) => talk(engine, step, { ...shape, row }))));
  const alone: Cost[] = [], beside: Cost[] = [];
  for (let step = -1; step < rounds; step++) {
    const a = await others(step + 1);
    const done = new AbortController();
    const slow = talk(engine, step + 1, { row: 63, group: 1, turns: 100, promptLength: 16, drawn: 12, heard: 4, waitMs: 500, signal: done.signal });
    const b = await others(step + 1);
    done.abort();
    await slow;
    if (step >= 0) { alone.push(a); beside.push(b); }
  }
  await engine.close();
  return { case: 'slow environment, 135M shape', rows: 63, tokens: shape.drawn, seconds_alone: typical(alone), seconds_beside: typical(beside), ...ratios(beside, alone), rounds };
}

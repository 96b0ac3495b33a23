/** @file Secrets stay out of what a job says and keeps: user code may put one into any message of its own. */
import type { JobFiles } from './job-files.ts';

/** A text without secrets. */
export type Conceal = (text: string) => string;

/** What a model was given and said is data: it has to stay as it was to be judged again. */
const data = new Set(['prompt', 'completion', 'turns']);

/** The same value with every message in it concealed. */
export function concealed<T>(value: T, conceal: Conceal): T {
  if (typeof value === 'string') return conceal(value) as T;
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map((item: unknown) => concealed(item, conceal)) as T;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, data.has(key) ? item : concealed(item, conceal)])) as T;
}

export function concealingFiles(files: JobFiles, conceal: Conceal): JobFiles {
  return {
    ...files,
    writeMeta: (meta) => files.writeMeta(concealed(meta, conceal)),
    appendLog: (line) => files.appendLog(conceal(line)),
    writeRollouts: (step, rollouts) => files.writeRollouts(step, concealed(rollouts, conceal)),
  };
}

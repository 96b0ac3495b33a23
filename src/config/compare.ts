/** @file Two resolved pipelines: are they the same, and if not, what is different? */
import { createHash } from 'node:crypto';
import { dirname, sep } from 'node:path';
import type { Change } from '../events.ts';
import { formatDuration } from './duration.ts';
import { numberText } from './values.ts';
import type { ResolvedPipeline, StageSettings } from './types.ts';

/** What a stage of each kind inherits and never reads: it is no part of what the stage means. */
const unread: { readonly [K in StageSettings['kind']]: readonly (keyof StageSettings)[] } = {
  grpo: ['export'],
  sft: ['group', 'export'],
  eval: ['steps', 'group', 'batch', 'train', 'guard', 'export'],
  export: ['steps', 'group', 'batch', 'taskset', 'agent', 'reward', 'runtime', 'train', 'eval', 'promote', 'guard'],
};

function meaningOf(stage: StageSettings): Partial<StageSettings> {
  const entries = Object.entries(stage).filter(([key]) => !unread[stage.kind].includes(key as keyof StageSettings));
  return Object.fromEntries(entries);
}

/** sha-256 of what the pipeline means: comments, spaces, key order and the folder it lies in do not count, nor does the name of a loss preset. */
export function hashPipeline(pipeline: ResolvedPipeline): string {
  const { file, stages, ...rest } = pipeline;
  const folder = dirname(file);
  const canonical = JSON.stringify({ ...rest, stages: stages.map(meaningOf) }, (key, value: unknown) => {
    if (key === 'lossName') return undefined;
    if (value === folder) return '.';
    if (typeof value === 'string') return value.replaceAll(folder + sep, './');
    if (value === null || typeof value !== 'object' || Array.isArray(value)) return value;
    return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
  return createHash('sha256').update(canonical).digest('hex');
}

/** What differs, in the keys of the file: `train.learning_rate 3e-4 → 1e-3`. A change that every stage shares is told once. */
export function diffPipelines(before: ResolvedPipeline, after: ResolvedPipeline): Change[] {
  const { stages: stagesBefore, file: _, ...rootBefore } = before;
  const { stages: stagesAfter, file: __, ...rootAfter } = after;
  const changes = compare(flatten(rootBefore), flatten(rootAfter));
  const perStage = Array.from({ length: Math.max(stagesBefore.length, stagesAfter.length) }, (_, index) => {
    const [old, now] = [stagesBefore[index], stagesAfter[index]];
    const found = compare(old === undefined ? new Map() : flatten(meaningOf(old)), now === undefined ? new Map() : flatten(meaningOf(now)));
    return { name: (now ?? old)?.name ?? '', found };
  });
  const everywhere = (change: Change) => perStage.every(({ found }) => found.some((other) => sameChange(change, other)));
  for (const [index, { name, found }] of perStage.entries()) {
    for (const change of found) {
      if (!everywhere(change)) changes.push({ ...change, path: `steps[${index}] (${name}) ${change.path}` });
      else if (index === 0) changes.push(change);
    }
  }
  return changes;
}

/** Every value of a pipeline in the keys of the file, `train.learning_rate` → `3e-4`; what every stage shares is told once. */
export function listSettings(pipeline: ResolvedPipeline): { path: string; value: string }[] {
  const nothing = { stages: [], file: '' } as unknown as ResolvedPipeline;
  return diffPipelines(nothing, pipeline).flatMap(({ path, after }) => (after === null ? [] : [{ path, value: after }]));
}

const sameChange = (a: Change, b: Change): boolean => a.path === b.path && a.before === b.before && a.after === b.after;

function compare(before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>): Change[] {
  const paths = new Set([...before.keys(), ...after.keys()]);
  return [...paths].filter((path) => before.get(path) !== after.get(path)).map((path) => ({ path, before: before.get(path) ?? null, after: after.get(path) ?? null }));
}

/** Path in the file's words → value as one would type it. */
function flatten(value: unknown, path = '', into = new Map<string, string>()): Map<string, string> {
  const key = path.split('.').at(-1) ?? '';
  if (key === 'loss_name' || value === undefined) return into;
  if (key.endsWith('_ms') && typeof value === 'number') into.set(path.slice(0, -'_ms'.length).replace('rollout_timeout', 'timeout'), formatDuration(value));
  else if (Array.isArray(value) && value.some((item) => item !== null && typeof item === 'object')) value.forEach((item, index) => flatten(item, `${path}[${index}]`, into));
  else if (value !== null && typeof value === 'object' && !Array.isArray(value)) {
    for (const [inner, item] of Object.entries(value)) flatten(item, path === '' ? snakeCase(inner) : `${path}.${snakeCase(inner)}`, into);
  } else into.set(path, typeof value === 'string' ? value : typeof value === 'number' ? numberText(value) : JSON.stringify(value));
  return into;
}

const snakeCase = (text: string): string => text.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

/** What a pipeline names, loaded: tasksets and rewards, once each however many stages share them. */
import { createHash } from 'node:crypto';
import type { ResolvedPipeline, StageSettings } from '../config/index.ts';
import type { Surroundings } from '../environments/index.ts';
import type { Scorer } from '../rewards/index.ts';
import type { Taskset } from '../tasks/index.ts';
import type { LoadError } from '../util/load-error.ts';
import { type LossModules, loadLosses } from './losses.ts';

export interface Materials extends AsyncDisposable {
  /** One entry per stage. */
  stages: readonly { taskset: Taskset; scorer: Scorer; surroundings: Surroundings | null }[];
  /** sha-256 of settings (and the code of a loss), tasks and reward code: equal hashes mean the same run. */
  hashes: { config: string; taskset: string; reward: string };
  /** An engine that has loaded others must not be used. */
  losses: LossModules;
  /** Files that were read, apart from the pipeline's own. */
  files: { taskset: readonly string[]; reward: readonly string[]; loss: readonly string[] };
}

/** `stage` is the index of the stage whose settings could not be loaded. */
export type MaterialsResult = { ok: true; materials: Materials } | { ok: false; error: LoadError & { stage: number } };

export interface MaterialsOptions {
  /** What user code prints. */
  onOutput?: (text: string) => void;
  signal?: AbortSignal;
}

export const hashOf = (...parts: readonly unknown[]): string => createHash('sha256').update(JSON.stringify(parts)).digest('hex');

export async function loadMaterials(pipeline: ResolvedPipeline, { onOutput, signal }: MaterialsOptions = {}): Promise<MaterialsResult> {
  const [{ hashPipeline }, { createScorer }, { loadTaskset }] = await Promise.all([import('../config/index.ts'), import('../rewards/index.ts'), import('../tasks/index.ts')]);
  const tasksets = new Map<string, Taskset>();
  const scorers = new Map<string, Scorer>();
  const surroundings = new Map<string, Surroundings>();
  const dispose = async () => {
    await Promise.all([...scorers.values(), ...surroundings.values()].map((loaded) => loaded[Symbol.asyncDispose]()));
  };
  const options = { ...(onOutput ? { onOutput } : {}), ...(signal ? { signal } : {}) };
  const read = { taskset: new Set<string>(), reward: new Set<string>() };
  const keys = ({ taskset, reward, runtime, tools }: StageSettings) => ({ tasksetKey: hashOf(taskset, runtime), scorerKey: hashOf(reward, runtime), toolsKey: hashOf(tools, runtime) });
  for (const [index, stage] of pipeline.stages.entries()) {
    const { tasksetKey, scorerKey, toolsKey } = keys(stage);
    if (!tasksets.has(tasksetKey)) {
      const loaded = await loadTaskset({ ...options, settings: stage.taskset, runtime: stage.runtime });
      if (!loaded.ok) return failed(loaded.error, { stage: index, section: 'taskset', read, dispose });
      tasksets.set(tasksetKey, loaded.taskset);
      for (const file of loaded.taskset.files) read.taskset.add(file);
    }
    if (!scorers.has(scorerKey)) {
      const loaded = await createScorer({ ...options, settings: stage.reward, runtime: stage.runtime });
      if (!loaded.ok) return failed(loaded.error, { stage: index, section: 'reward', read, dispose });
      scorers.set(scorerKey, loaded.scorer);
      for (const file of loaded.scorer.files) read.reward.add(file);
    }
    if (takesTurns(stage) && !surroundings.has(toolsKey)) {
      const { openSurroundings } = await import('../environments/index.ts');
      const loaded = await openSurroundings({ ...options, tools: stage.tools, runtime: stage.runtime });
      if (!loaded.ok) return failed(loaded.error, { stage: index, section: 'tools', read, dispose });
      surroundings.set(toolsKey, loaded.surroundings);
      for (const file of loaded.surroundings.files) read.taskset.add(file);
    }
  }
  const loaded = await loadLosses(pipeline, options);
  if (!loaded.ok) {
    const stage = pipeline.stages.findIndex(({ train }) => train.loss.kind === 'module');
    return failed(loaded.error, { stage, section: 'train.loss', read, dispose });
  }
  const { losses } = loaded;
  const stages = pipeline.stages.map((stage) => {
    const { tasksetKey, scorerKey, toolsKey } = keys(stage);
    return { taskset: tasksets.get(tasksetKey)!, scorer: scorers.get(scorerKey)!, surroundings: takesTurns(stage) ? surroundings.get(toolsKey)! : null };
  });
  const materials: Materials = {
    stages,
    hashes: {
      config: losses.hash === '' ? hashPipeline(pipeline) : hashOf(hashPipeline(pipeline), losses.hash),
      // Tools are part of what is asked: other tools, other tasks.
      taskset: hashOf(stages.map(({ taskset, surroundings: around }) => (around ? [taskset.hash, around.hash] : taskset.hash))),
      reward: hashOf(stages.map(({ scorer }) => scorer.hash)),
    },
    losses,
    files: { taskset: [...read.taskset], reward: [...read.reward], loss: losses.files },
    [Symbol.asyncDispose]: dispose,
  };
  return { ok: true, materials };
}

const takesTurns = ({ agent, tools }: StageSettings): boolean => agent.maxSteps > 1 || tools.length > 0;

interface Failed {
  stage: number;
  section: 'taskset' | 'reward' | 'tools' | 'train.loss';
  read: { taskset: Set<string>; reward: Set<string> };
  dispose: () => Promise<void>;
}

/** The error with its place in the pipeline, and with every file that was read on the way, so that a watcher can wait for the repair. */
async function failed(error: LoadError, { stage, section, read, dispose }: Failed): Promise<MaterialsResult & { ok: false }> {
  await dispose();
  const key = error.key?.startsWith('/') ? error.key.slice(1) : error.key ? `${section}.${error.key}` : section;
  return { ok: false, error: { ...error, stage, key, files: [...read.taskset, ...read.reward, ...error.files] } };
}

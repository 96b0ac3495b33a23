/** What happens between the jobs of one command: reading, running, watching, and what to show when a file was edited. */
import { diffPipelines } from '../config/index.ts';
import type { Change, Emit, EventData } from '../events.ts';
import { type StoredJob, type Version, type WatchHost, type WatchSession, findJob, lastRollouts, listJobs, rescore, startSession } from '../pipeline/index.ts';
import { type Exit, exitOf } from './exit-codes.ts';
import { interruptedJob } from './resume.ts';
import type { Outcome, Prepared, Workbench } from './workbench.ts';

export interface SessionOptions {
  watching: boolean;
  resume: boolean;
  emit: Emit;
  /** Called before each job with its resolved pipeline as YAML. */
  beforeRun: (pipeline: () => string) => Promise<void>;
}

export interface RunningSession {
  session: WatchSession;
  /** How the last job went. */
  outcome: Promise<Outcome>;
}

export function runSession(workbench: Workbench, { watching, resume, emit, beforeRun }: SessionOptions): RunningSession {
  const { panel } = workbench.options;
  let last: StoredJob | null = null;
  let exit: Exit = 'ok';
  let outcome: Outcome | null = null;

  const host: WatchHost<Prepared> = {
    emit,
    async load() {
      const load = await workbench.load();
      if (!load.ok) exit = load.exit;
      return load;
    },
    async run({ value }, before) {
      panel.reset();
      await beforeRun(value.describe);
      const change = before && changeOf(before.value, value).kind;
      const head = change === 'reward' && last && value.pipeline.watch.onReward === 'rollback' ? last.start.checkpoint : undefined;
      if (change) emit('watch-decision', { action: 'rerun', from: head ?? null, reason: change === 'none' ? 'with what ran before, from the head' : reasonToRerun(head) });
      try {
        const resumed = resume && !before ? await interruptedJob({ ...value, materials: workbench.sealed(value) }, { root: workbench.root, file: workbench.invocation.args[0]!, argv: workbench.invocation.io.argv }) : null;
        outcome = await workbench.run(value, { resume: resumed, parentJob: last?.id ?? null, ...(head === undefined ? {} : { head }) });
        if (outcome.kind !== 'ran') return false;
        last = await findJob(workbench.root, outcome.id);
        return outcome.result.status !== 'failed';
      } catch (error) {
        // While watching, the next edit may mend it.
        if (!watching || exitOf(error) === null) throw error;
        const { message, fix } = error as Error & { fix?: string | null };
        emit('warning', { step: null, code: 'not_started', message, fix: fix ?? 'Edit the pipeline; it is being watched.' });
        return false;
      }
    },
    finish: () => panel.controls.finish(),
    drain: () => panel.drain(),
    keepGoing: () => panel.reset(),
    abort: () => panel.controls.stop(),
    compare,
    async rescore({ value }) {
      // Not `last`, which is over: the job that runs has newer rollouts, once its first step is scored.
      const { file, model } = value.pipeline;
      const stored = (await listJobs(workbench.root)).filter((job) => job.file === file && job.model === model.name);
      for (const directory of new Set([workbench.directory, last?.directory, stored[0]?.directory])) {
        const answers = directory && (await lastRollouts({ directory }));
        if (answers && answers.rollouts.length > 0) return await showRescored(value, answers, { signal: panel.signal, emit });
      }
      return true;
    },
  };
  const session = startSession(host, { watching });
  panel.onWatch = (on) => session.setWatching(on);
  return { session, outcome: session.done.then(() => outcome ?? { kind: 'not-started', exit }) };
}

const reasonToRerun = (head: string | null | undefined): string =>
  head === undefined ? 'with what has changed, from the head' : `with the new reward, from ${head ?? 'the base'}, where the job before began`;

const compare = (before: Version<Prepared>, after: Version<Prepared>) => changeOf(before.value, after.value);

/** What differs between two versions: the settings, or the code behind them. A change of rewards alone can be judged on old rollouts. */
function changeOf(before: Prepared, after: Prepared): { kind: EventData['watch-changed']['kind']; changes: Change[] } {
  const changes = diffPipelines(before.shown, after.shown);
  const [old, now] = [before.materials.hashes, after.materials.hashes];
  const isReward = ({ path }: Change) => /(^|\s)reward\b/.test(path);
  if (changes.length > 0 || old.config !== now.config) return { kind: changes.length > 0 && changes.every(isReward) ? 'reward' : 'config', changes };
  if (old.taskset !== now.taskset) return { kind: 'taskset', changes };
  return { kind: old.reward !== now.reward ? 'reward' : 'none', changes };
}

/** The last rollouts of a job under other rewards. False if none of them gets a verdict any more. */
async function showRescored(
  { pipeline, materials }: Prepared,
  { step, rollouts }: Awaited<ReturnType<typeof lastRollouts>>,
  { signal, emit }: { signal: AbortSignal; emit: Emit },
): Promise<boolean> {
  const index = pipeline.stages.findIndex(({ kind }) => kind === 'grpo');
  const [stage, loaded] = [pipeline.stages[index], materials.stages[index]];
  if (!stage || !loaded) return true;
  const began = performance.now();
  const rescored = await rescore(rollouts, loaded.taskset.train, { scorer: loaded.scorer, train: stage.train, signal });
  emit('rescored', { step, file: materials.files.reward[0] ?? pipeline.file, rollouts: rescored, durationMs: Math.round(performance.now() - began) });
  return rescored.some(({ after, error }) => after !== null || error === undefined);
}

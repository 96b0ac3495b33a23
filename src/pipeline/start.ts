/** Begins a job, or takes up an interrupted one: its directory, its description of itself, its session. */
import { join } from 'node:path';
import { createAgent } from '../agents/index.ts';
import type { ResolvedPipeline, StageSettings } from '../config/types.ts';
import { type Emit, type JobEvent, liveEvents } from '../events.ts';
import type { Checkpoint } from '../models/types.ts';
import type { Engine, Tokenizer } from '../policy/types.ts';
import { storedJson } from '../util/stored-json.ts';
import { type Conceal, concealed, concealingFiles } from './conceal.ts';
import type { ControlPanel } from './controls.ts';
import { type JobFiles, openJobFiles } from './job-files.ts';
import type { JobMeta } from './job-meta.ts';
import { type JobResult, runJob, totalSteps } from './job.ts';
import { type StoredJob, claimJobId, jobsDirectory, lockJob, markLatest } from './jobs.ts';
import type { Clock, ModelLine } from './loop.ts';
import type { Materials } from './materials.ts';
import { Session, type SessionOptions } from './session.ts';

/** What the job should remember of the world around it. */
export type Surroundings = Pick<JobMeta, 'argv' | 'cwd' | 'versions' | 'git' | 'host' | 'pid'>;

export interface StartOptions {
  /** `.rlrun` */
  root: string;
  pipeline: ResolvedPipeline;
  /** The same as it may be written down, without secrets. */
  shown: ResolvedPipeline;
  /** Keeps secrets out of messages; null where there are none. */
  conceal: Conceal | null;
  /** The pipeline file, byte for byte. */
  source: string;
  materials: Materials;
  model: ModelLine;
  engine: Engine;
  tokenizer: Tokenizer;
  exportModel: SessionOptions['exportModel'];
  /** Who hears of events besides the job's own files. */
  listen: (event: JobEvent) => void;
  /** Handed the job's own voice, so that what others have to say (a watcher, a person) gets into its files as well, and where these are. */
  onEmit?: (emit: Emit, directory: string) => void;
  panel: ControlPanel;
  clock: Clock;
  surroundings: Surroundings;
  resume: StoredJob | null;
  /** The job before this one, in watch mode. */
  parentJob: string | null;
  resumeCommand: string;
}

export interface StartedJob {
  id: string;
  directory: string;
  result: JobResult;
}

/** Runs a job to its end. */
export async function startJob(options: StartOptions): Promise<StartedJob> {
  const { root, pipeline, materials, engine, model, clock, panel, resume, conceal } = options;
  const began = clock();
  const head = resume ? null : await model.head();
  // A job that could not begin would leave a directory behind, and a command that cannot resume it.
  if (head) await model.verifiedDirectory(head.id);
  const id = resume?.id ?? (await claimJobId(root, pipeline.name, began));
  const directory = join(jobsDirectory(root), id);
  await using lock = await lockJob(directory);
  if (lock === null) {
    const { ModelError } = await import('../models/index.ts');
    throw new ModelError('conflict', `job ${id} runs in another process`, { fix: 'Wait until it is done or stop it.' });
  }
  const opened = openJobFiles(directory, { create: true });
  const files = conceal === null ? opened : concealingFiles(opened, conceal);
  const meta = resume ? { ...(await files.readMeta()), pid: options.surroundings.pid } : describeJob({ id, began, head }, options);
  await files.writeMeta({ ...meta, status: 'running', reason: null, endedAt: null, before: null, after: null });
  if (!resume) {
    await files.writeText('pipeline.yaml', options.source);
    await files.writeText('resolved.json', storedJson(options.shown));
  }
  await markLatest(root, id);

  const emit = emitter(files, { listen: options.listen, clock, conceal });
  options.onEmit?.(emit, directory);
  const session = new Session({
    ...{ jobId: id, pipeline, files, model, engine, tokenizer: options.tokenizer, panel, emit, clock },
    materials: materials.stages.map((loaded, index) => ({ ...loaded, agent: agentOf(pipeline.stages[index]!, options) })),
    configHash: materials.hashes.config,
    start: meta.start,
    exportModel: options.exportModel,
    signal: panel.signal,
  });
  const { fork, name, device, threads } = pipeline.model;
  const losses = new Set(pipeline.stages.filter(({ kind }) => kind === 'grpo').map(({ train }) => train.lossName));
  const introduction = {
    ...{ jobId: id, pipeline: pipeline.name, file: pipeline.file, model: name, base: fork, device, threads, seed: pipeline.seed, directory },
    loss: [...losses].join(', ') || 'cross_entropy',
    parameters: engine.info.parameters,
    trainableParameters: engine.info.trainableParameters,
    parentJob: meta.parent,
  };
  const result = await runJob(session, { introduction, resume: resume !== null, resumeCommand: options.resumeCommand });
  const { status, reason, steps, before, after } = result;
  // Whoever took the job over has the last word.
  if (await lock.isHeld()) await files.writeMeta({ ...meta, status, reason, steps, before, after, endedAt: new Date(clock()).toISOString() }).catch(() => {});
  // Whoever needed what was written has heard of it if that failed.
  await files.durable().catch(() => {});
  files.close();
  return { id, directory, result };
}

const agentOf = ({ agent }: StageSettings, { tokenizer, engine }: StartOptions) =>
  createAgent({ settings: agent, tokenizer, contextLength: engine.info.contextLength });

function describeJob({ id, began, head }: { id: string; began: number; head: Checkpoint | null }, options: StartOptions): JobMeta {
  const { pipeline, materials, surroundings, parentJob } = options;
  return {
    id,
    ...surroundings,
    pipeline: pipeline.name,
    file: pipeline.file,
    model: pipeline.model.name,
    start: { checkpoint: head?.id ?? null, step: head?.step ?? 0 },
    seed: pipeline.seed,
    device: pipeline.model.device,
    parent: parentJob,
    hashes: materials.hashes,
    startedAt: new Date(began).toISOString(),
    endedAt: null,
    status: 'running',
    reason: null,
    steps: 0,
    totalSteps: totalSteps(pipeline.stages),
    before: null,
    after: null,
  };
}

/** Sends events to the job's file and to whoever listens; a listener that fails is not heard from again. */
function emitter(files: JobFiles, { listen, clock, conceal }: Pick<StartOptions, 'listen' | 'clock' | 'conceal'>): Emit {
  let isListening = true;
  return (type, data) => {
    const event = { type, time: Math.round(clock()), ...(conceal === null ? data : concealed(data, conceal)) } as unknown as JobEvent;
    if (!liveEvents.has(type)) files.appendEvent(event);
    if (!isListening) return;
    try {
      listen(event);
    } catch (error) {
      isListening = false;
      files.appendLog(`A listener failed and is not told any more: ${error instanceof Error ? error.stack : String(error)}`);
    }
  };
}

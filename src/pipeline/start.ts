/** Begins a job, or takes up an interrupted one: its directory, its description of itself, its session. */
import { join } from 'node:path';
import { createAgent } from '../agents/index.ts';
import type { ResolvedPipeline, StageSettings } from '../config/types.ts';
import { type Emit, type JobEvent, liveEvents } from '../events.ts';
import type { Engine, Tokenizer } from '../policy/types.ts';
import type { ControlPanel } from './controls.ts';
import { type JobFiles, type JobMeta, openJobFiles } from './job-files.ts';
import { type JobResult, runJob, totalSteps } from './job.ts';
import { type StoredJob, claimJobId, jobsDirectory, markLatest } from './jobs.ts';
import type { Clock, ModelLine } from './loop.ts';
import type { Materials } from './materials.ts';
import { Session, type SessionOptions } from './session.ts';

/** What the job should remember of the world around it. */
export type Surroundings = Pick<JobMeta, 'argv' | 'cwd' | 'versions' | 'git' | 'host' | 'pid'>;

export interface StartOptions {
  /** `.rlrun` */
  root: string;
  pipeline: ResolvedPipeline;
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
  const { root, pipeline, materials, engine, model, clock, panel, resume } = options;
  const began = clock();
  const id = resume?.id ?? (await claimJobId(root, pipeline.name, began));
  const directory = join(jobsDirectory(root), id);
  const files = openJobFiles(directory, { create: true });
  const meta = resume ? { ...(await files.readMeta()), pid: options.surroundings.pid } : await describeJob({ id, began }, options);
  await files.writeMeta({ ...meta, status: 'running', reason: null, endedAt: null, before: null, after: null });
  if (!resume) {
    await files.writeText('pipeline.yaml', options.source);
    await files.writeText('resolved.json', `${JSON.stringify(pipeline, null, 2)}\n`);
  }
  await markLatest(root, id);

  const emit = emitter(files, options.listen, clock);
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
  await files.writeMeta({ ...meta, status, reason, steps, before, after, endedAt: new Date(clock()).toISOString() }).catch(() => {});
  // Whoever needed what was written has heard of it if that failed.
  await files.durable().catch(() => {});
  files.close();
  return { id, directory, result };
}

const agentOf = ({ agent }: StageSettings, { tokenizer, engine }: StartOptions) =>
  createAgent({ settings: agent, tokenizer, contextLength: engine.info.contextLength });

async function describeJob({ id, began }: { id: string; began: number }, options: StartOptions): Promise<JobMeta> {
  const { pipeline, materials, model, surroundings, parentJob } = options;
  const head = await model.head();
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
function emitter(files: JobFiles, listen: (event: JobEvent) => void, clock: Clock): Emit {
  let isListening = true;
  return (type, data) => {
    const event = { type, time: Math.round(clock()), ...data } as unknown as JobEvent;
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

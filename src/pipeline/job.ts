/** One run of a pipeline, from its first event to its last. */
import type { EventData, JobStatus, Metrics, MetricsRow } from '../events.ts';
import { isMeasured } from './guards.ts';
import { BeyondRecovery } from './recover.ts';
import type { Session } from './session.ts';
import { stageRunners } from './stages/index.ts';

export interface JobResult {
  status: JobStatus;
  /** In words. */
  reason: string;
  /** Steps that are over. */
  steps: number;
  head: string | null;
  before: Metrics | null;
  after: Metrics | null;
  /** What made the job fail, when that was an exception. */
  error: unknown;
}

export interface JobOptions {
  /** What the session does not know of the job: for the first event. */
  introduction: Omit<EventData['job-started'], 'resumedFrom' | 'head' | 'stages' | 'totalSteps'>;
  /** Take up the job where its files say that it was. */
  resume: boolean;
  /** For the last event of a job that is not complete. */
  resumeCommand: string;
}

/** Runs every stage that is not done yet. Never throws: what goes wrong is in the result, and in the last event. */
export async function runJob(session: Session, options: JobOptions): Promise<JobResult> {
  const { emit, clock } = session.options;
  const began = clock();
  const end = await runStages(session, options).catch((error: unknown) => endOfFailure(error, session));
  const result = { ...end, steps: session.history.step, head: session.head, ...change(session) };
  const resumeCommand = result.status === 'completed' || result.error instanceof BeyondRecovery ? null : options.resumeCommand;
  const { error: _, ...told } = result;
  emit('job-finished', { ...told, durationMs: Math.round(clock() - began), resumeCommand });
  return result;
}

type End = Pick<JobResult, 'status' | 'reason' | 'error'>;

async function runStages(session: Session, { resume, introduction }: JobOptions): Promise<End> {
  const { pipeline, emit, panel } = session.options;
  const { stages } = pipeline;
  const damage = resume ? await session.recover() : null;
  emit('job-started', {
    ...introduction,
    stages: stages.map(({ name, kind, steps }) => ({ name, kind, steps: isTraining(kind) ? steps : 0 })),
    totalSteps: totalSteps(stages),
    resumedFrom: resume ? session.history.step : null,
    head: session.head,
  });
  if (damage !== null) emit('warning', { step: session.history.step, code: 'damaged_files', message: damage, fix: 'If nobody edited these files, look after the disk: the next damage may be to something that cannot be made again.' });
  if (!panel.finishing) await session.restore();

  const reasons: string[] = [];
  for (const [index, { name, kind, steps }] of stages.entries()) {
    if (session.history.isBehind(index)) continue;
    emit('stage-started', { index, name, kind, steps: isTraining(kind) ? steps : 0 });
    const result = await stageRunners[kind](session, index);
    if (result.end === 'leave') return { status: 'stopped', reason: `after step ${session.history.step}, as asked`, error: null };
    if (result.end === 'failed') return { status: 'failed', reason: result.reason, error: null };
    emit('stage-finished', { index, name, kind });
    if (result.reason) reasons.push(stages.length > 1 ? `${name}: ${result.reason}` : result.reason);
    if (panel.finishing && index < stages.length - 1) return { status: 'stopped', reason: `after ${name}, as asked`, error: null };
  }
  return { status: 'completed', reason: reasons.join('; ') || 'all steps done', error: null };
}

/** The last held-out measurement of what is the head now, and the one before the first step that asked the same. */
function change(session: Session): Pick<JobResult, 'before' | 'after'> {
  const { history } = session;
  const measured = history.rows.filter(isMeasured);
  const later = measured.filter((row) => row.kind !== 'baseline');
  const weights = history.weightsOfRows();
  const isOfHead = (row: MetricsRow) => weights.get(row) === session.head;
  // While the gate holds, the loop goes on from weights that are not the head; a head from before the first step was measured then.
  const after = later.findLast(isOfHead) ?? (later.length > 0 ? (measured.findLast(isOfHead) ?? later.at(-1)) : undefined);
  const stage = session.options.pipeline.stages.find(({ name }) => name === (after ?? measured[0])?.stage);
  const isBefore = (row: MetricsRow) => measured.includes(row) && (row.kind === 'baseline' || (row.kind !== 'step' && row !== after));
  const before = stage && history.comparable(stage).find(isBefore);
  return { before: before ? heldOutOf(before) : null, after: after ? heldOutOf(after) : null };
}

/** A step that was measured has metrics of its learning beside. */
const heldOutOf = ({ metrics }: MetricsRow): Metrics => Object.fromEntries(Object.entries(metrics).filter(([name]) => name.startsWith('eval/')));

const isTraining = (kind: EventData['stage-started']['kind']): boolean => kind === 'sft' || kind === 'grpo';

export const totalSteps = (stages: Session['options']['pipeline']['stages']): number =>
  stages.reduce((total, { kind, steps }) => total + (isTraining(kind) ? steps : 0), 0);

function endOfFailure(error: unknown, session: Session): End {
  if (session.options.signal.aborted) {
    return { status: 'stopped', reason: `at once; the step after ${session.history.step} is lost`, error: null };
  }
  session.options.files.appendLog(error instanceof Error ? (error.stack ?? error.message) : String(error));
  return { status: 'failed', reason: error instanceof Error ? error.message : String(error), error };
}

/** What a block of steps does, by its kind. */
import type { StageKind } from '../../events.ts';
import type { Session } from '../session.ts';
import { runEvalStage } from './eval.ts';
import { runExportStage } from './export.ts';
import { runGrpoStage } from './grpo.ts';
import { runSftStage } from './sft.ts';

/** How a stage ended. `leave`: someone asked the job to end after the step. */
export type StageEnd = { end: 'done'; reason: string | null } | { end: 'leave' } | { end: 'failed'; reason: string };

export type StageRunner = (session: Session, index: number) => Promise<StageEnd>;

export const stageRunners: { [K in StageKind]: StageRunner } = {
  sft: runSftStage,
  grpo: runGrpoStage,
  eval: runEvalStage,
  export: runExportStage,
};

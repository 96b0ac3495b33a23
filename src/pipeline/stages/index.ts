/** What a block of steps does, by its kind. */
import type { StageKind } from '../../events.ts';
import { runEvalStage } from './eval.ts';
import { runExportStage } from './export.ts';
import { runGrpoStage } from './grpo.ts';
import { runSftStage } from './sft.ts';
import type { StageRunner } from './types.ts';

export const stageRunners: { [K in StageKind]: StageRunner } = {
  sft: runSftStage,
  grpo: runGrpoStage,
  eval: runEvalStage,
  export: runExportStage,
};

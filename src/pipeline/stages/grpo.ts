/** Reinforcement learning from groups: the loop of `step.ts`, again and again. */
import { beginRollouts, runStep } from '../step.ts';
import type { StageRunner } from './types.ts';
import { runTrainingStage } from './train.ts';

export const runGrpoStage: StageRunner = (session, index) => runTrainingStage(session, index, { run: runStep, begin: beginRollouts });

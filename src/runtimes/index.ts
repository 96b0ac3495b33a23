export { callPrints, jobPrints } from './prints.ts';
export { type Call, Pool } from './pool.ts';
export { isProgram, keepTail, programFiles, watchMemory } from './processes.ts';
export { programPlace } from './program-place.ts';
export { seconds } from './seat.ts';
export { PlaceError } from './serve.ts';
export { type Failure, failure, type OpenPlace, type Outcome, type Place } from './types.ts';
export { openUserCode, type UserCode } from './user-code.ts';
export { defaultExportProblem, serveUserModules } from './user-modules.ts';
export { describe, invalid, MAX_REWARD, readVerdict, type Verdict } from './verdict.ts';

/** Loaded when a program is to be started: most pipelines start none. */
export const loadChild = (): Promise<typeof import('./child.ts')> => import('./child.ts');

export { lineReader } from './lines.ts';
export { type Call, Pool, seconds } from './pool.ts';
export { endWithUs, isProgram, killTree, programFiles, watchMemory } from './processes.ts';
export { programPlace } from './program-place.ts';
export { PlaceError } from './serve.ts';
export { type Failure, failure, type OpenPlace, type Outcome, type Place } from './types.ts';
export { openUserCode, type UserCode } from './user-code.ts';
export { defaultExportProblem, serveUserModules } from './user-modules.ts';
export { describe, invalid, MAX_REWARD, readVerdict, type Verdict } from './verdict.ts';

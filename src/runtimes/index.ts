export { type Environment, type EnvironmentOptions, isPrompt, type OpenedEnvironment, openEnvironment, PROGRAM, type TemplateCall } from './environment.ts';
export { Pool, type Call, type CallLimits, seconds } from './pool.ts';
export { endWithUs, killTree, programFiles, watchMemory } from './processes.ts';
export { PlaceError, serve } from './serve.ts';
export { type Failure, failure, type OpenPlace, type Outcome, type Place } from './types.ts';
export { openUserCode, type UserCode } from './user-code.ts';
export { serveUserModules, type UserModules } from './user-modules.ts';
export { describe, invalid, MAX_REWARD, readVerdict, type Verdict } from './verdict.ts';

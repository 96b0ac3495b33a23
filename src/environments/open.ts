import type { OpenedEnvironment, OpenEnvironmentOptions } from './types.ts';

/** The `source` of templates that the pipeline's `runtime:` serves. */
export const PROGRAM = 'runtime';

export async function openEnvironment(options: OpenEnvironmentOptions): Promise<OpenedEnvironment> {
  if (options.source === PROGRAM) return (await import('./program.ts')).openProgram(options);
  return (await import('./module.ts')).openModule(options);
}

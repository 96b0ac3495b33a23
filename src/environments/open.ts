import type { RuntimeSettings } from '../config/types.ts';
import type { Failure } from '../runtimes/index.ts';
import type { Environment } from './types.ts';

export interface OpenEnvironmentOptions {
  /** The absolute path of a module that exports `templates`; `runtime` is whatever `runtime:` names. */
  source: string;
  runtime: RuntimeSettings;
  onOutput?: ((text: string) => void) | undefined;
  signal?: AbortSignal | undefined;
}

/** The `source` of templates that the pipeline's `runtime:` serves. */
export const PROGRAM = 'runtime';

export type OpenedEnvironment = { ok: true; environment: Environment } | { ok: false; failure: Failure; files: readonly string[] };

export async function openEnvironment(options: OpenEnvironmentOptions): Promise<OpenedEnvironment> {
  if (options.source === PROGRAM) return (await import('./program.ts')).openProgram(options);
  return (await import('./module.ts')).openModule(options);
}

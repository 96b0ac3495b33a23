import type { EnvironmentHome, RuntimeSettings } from '../config/types.ts';
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
  const { source, runtime } = options;
  if (source !== PROGRAM) return (await import('./module.ts')).openModule(options);
  if (!runtime.home) return (await import('./program.ts')).openProgram(options);
  return homes[runtime.home.kind](runtime.home as never, options);
}

type HomeOf<K extends EnvironmentHome['kind']> = Extract<EnvironmentHome, { kind: K }>;

/** Each is loaded when somebody lives there. */
const homes: { [K in EnvironmentHome['kind']]: (home: HomeOf<K>, options: OpenEnvironmentOptions) => Promise<OpenedEnvironment> } = {
  hud: async (home, options) => (await import('./hud/open.ts')).openHud(home, options),
  tcp: async (home, options) => (await import('./hud/open.ts')).openHud(home, options),
  docker: async (home, options) => (await import('./hud/open.ts')).openHud(home, options),
  gym: async (home, options) => (await import('./gym/open.ts')).openGym(home, options),
};

import type { EnvironmentHome } from '../config/types.ts';
import type { OpenedEnvironment, OpenEnvironmentOptions } from './types.ts';

/** The `source` of templates that the pipeline's `runtime:` serves. */
export const PROGRAM = 'runtime';

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

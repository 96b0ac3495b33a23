import type { EnvironmentHome, RuntimeSettings } from '../../config/types.ts';
import { isProgram, programFiles } from '../../runtimes/index.ts';
import { attachedTo } from '../hosts/attached.ts';
import { inDocker } from '../hosts/docker.ts';
import { startHost } from '../hosts/started.ts';
import type { HostSource } from '../hosts/types.ts';
import { userEnvironment } from '../../util/user-environment.ts';
import type { OpenedEnvironment, OpenEnvironmentOptions } from '../types.ts';
import { openHudEnvironment } from './environment.ts';

type HudHome = Extract<EnvironmentHome, { kind: 'hud' | 'tcp' | 'docker' }>;
type Place = Pick<RuntimeSettings, 'command' | 'cwd' | 'memoryMb'> & Pick<OpenEnvironmentOptions, 'onOutput'> & { env: NodeJS.ProcessEnv };

/** Where a process with the environment comes from. */
const sources: { [K in HudHome['kind']]: (home: Extract<HudHome, { kind: K }>, place: Place) => HostSource } = {
  hud: ({ startTimeoutMs }, place) => ({ isOurs: true, open: (signal) => startHost({ ...place, startTimeoutMs }, signal) }),
  tcp: ({ url }) => attachedTo(url),
  docker: ({ kind: _, ...home }, { command: __, ...place }) => inDocker({ ...place, ...home }),
};

export async function openHud(home: HudHome, { runtime, onOutput, signal }: OpenEnvironmentOptions): Promise<OpenedEnvironment> {
  const { command, cwd, env, memoryMb } = runtime;
  const files = programFiles(command, cwd);
  if (home.kind === 'hud' && !isProgram(command[0]!, cwd)) {
    return { ok: false, files, failure: { type: 'exit', message: `the environment could not be started: there is no program ${command[0]}` } };
  }
  const source = sources[home.kind](home as never, { command, cwd, env: userEnvironment(env), memoryMb, onOutput });
  const opened = await openHudEnvironment({ source, runtime, files }, signal);
  return opened.ok ? { ok: true, environment: opened.value } : { ok: false, failure: opened.failure, files };
}

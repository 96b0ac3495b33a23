import type { Runtime } from './pipeline-file.generated.ts';

type Kind = NonNullable<Runtime['kind']>;

interface KeyOfKinds {
  of: readonly Kind[];
  /** Kinds that cannot do without it, with an example each. */
  needed?: { [K in Kind]?: string };
}

/** Keys of `runtime:` that belong to some kinds alone; those that are not here are everybody's. */
export const runtimeKeys: { [K in keyof Runtime]?: KeyOfKinds } = {
  command: { of: ['subprocess', 'hud', 'gym'], needed: { hud: '[python, -m, hud.environment.server, env.py]' } },
  url: { of: ['tcp', 'gym'], needed: { tcp: 'tcp://127.0.0.1:8765', gym: 'http://127.0.0.1:8000' } },
  image: { of: ['docker'], needed: { docker: 'my-environment:latest' } },
  port: { of: ['docker'] },
  run_args: { of: ['docker'] },
  start_timeout: { of: ['hud', 'docker', 'gym'] },
  action_field: { of: ['gym'] },
  prompt_field: { of: ['gym'] },
  observation_field: { of: ['gym'] },
};

export const runtimeHomeKeys = Object.keys(runtimeKeys);

/** Environments in these take turns or bring tools, so that the model wants more than one answer. */
export const homesWithTurns: readonly string[] = ['hud', 'tcp', 'docker', 'gym'] satisfies Kind[];

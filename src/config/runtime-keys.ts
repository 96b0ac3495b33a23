import type { Runtime } from './pipeline-file.generated.ts';

type Kind = NonNullable<Runtime['kind']>;

/** What a key of `runtime:` says to which kinds; keys that are not here are everybody's. */
export const runtimeKeys = {
  command: { of: ['subprocess', 'hud', 'gym'], needed: ['hud'] },
  url: { of: ['tcp', 'gym'], needed: ['tcp', 'gym'] },
  image: { of: ['docker'], needed: ['docker'] },
  port: { of: ['docker'], needed: [] },
  run_args: { of: ['docker'], needed: [] },
  start_timeout: { of: ['hud', 'docker', 'gym'], needed: [] },
  action_field: { of: ['gym'], needed: [] },
  prompt_field: { of: ['gym'], needed: [] },
  observation_field: { of: ['gym'], needed: [] },
} as const satisfies Partial<Record<keyof Runtime, { of: readonly Kind[]; needed: readonly Kind[] }>>;

export const runtimeHomeKeys = Object.keys(runtimeKeys);

/** Environments in these take turns or bring tools, so that the model wants more than one answer. */
export const homesWithTurns: readonly string[] = ['hud', 'tcp', 'docker', 'gym'] satisfies Kind[];

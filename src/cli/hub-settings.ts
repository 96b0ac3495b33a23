/** The Hugging Face Hub as the environment of the user describes it, by the names that Hugging Face's own tools have for it. */
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { StoreOptions } from '../models/index.ts';
import { expandHome } from '../util/home.ts';
import { CommandError } from './exit-codes.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** What counts for everything that downloads. `RLRUN_HUB_CACHE` is shared by projects; by default each has its own. */
export function hubSettings(env: Environment): Pick<StoreOptions, 'hub' | 'hubCache'> {
  const { HF_ENDPOINT: hubUrl, RLRUN_HUB_CACHE: hubCache } = env;
  if (hubUrl && !URL.canParse(hubUrl)) throw new CommandError('usage', `HF_ENDPOINT is ${JSON.stringify(hubUrl)}, which is no URL.`, 'Write https://… or unset it.');
  const home = expandHome(env['HF_HOME'] || join(env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'huggingface'));
  const accessToken = env['HF_TOKEN'] || (isOn(env['HF_HUB_DISABLE_IMPLICIT_TOKEN']) ? '' : keptToken(expandHome(env['HF_TOKEN_PATH'] || join(home, 'token'))));
  return {
    hub: {
      ...(accessToken ? { accessToken } : {}),
      ...(hubUrl ? { hubUrl } : {}),
      userCache: expandHome(env['HF_HUB_CACHE'] || env['HUGGINGFACE_HUB_CACHE'] || join(home, 'hub')),
      offline: isOn(env['HF_HUB_OFFLINE']) || isOn(env['TRANSFORMERS_OFFLINE']),
    },
    ...(hubCache ? { hubCache: expandHome(hubCache) } : {}),
  };
}

const isOn = (value: string | undefined): boolean => /^(1|on|yes|true)$/i.test(value ?? '');

/** What `hf auth login` leaves. */
function keptToken(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return '';
  }
}

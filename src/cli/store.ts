/** The models of this project, and the Hub as the environment of the user describes it. */
import type { ModelStore } from '../models/index.ts';
import { openProjectStore } from '../pipeline/index.ts';
import { formatBytes } from '../plot/index.ts';
import { CommandError } from './exit-codes.ts';
import type { Io } from './io.ts';
import { rootOf } from './paths.ts';

export interface StoreSettings {
  /** Another project directory than the user's own. */
  root?: string;
  /** Hears how far a download is; by default the user does. */
  say?: (text: string) => void;
}

/** `HF_TOKEN`, `HF_ENDPOINT` and `RLRUN_HUB_CACHE` (shared by projects; by default each has its own) count for everything that downloads. */
export function storeOf(io: Io, { root = rootOf(io), say = io.say }: StoreSettings = {}): Promise<ModelStore> {
  const { HF_TOKEN: accessToken, HF_ENDPOINT: hubUrl, RLRUN_HUB_CACHE: hubCache } = io.env;
  if (hubUrl && !URL.canParse(hubUrl)) throw new CommandError('usage', `HF_ENDPOINT is ${JSON.stringify(hubUrl)}, which is no URL.`, 'Write https://… or unset it.');
  const hub = { ...(accessToken ? { accessToken } : {}), ...(hubUrl ? { hubUrl } : {}), onProgress: downloadTeller(say) };
  return openProjectStore({ root, cwd: io.cwd, hub, ...(hubCache ? { hubCache } : {}) });
}

/** At most one line per second, and one for each file that is complete. */
const TELL_EVERY_MS = 1000;

function downloadTeller(say: (text: string) => void): (progress: { repository: string; file: string; bytes: number; totalBytes: number }) => void {
  let told = 0;
  let file = '';
  return (progress) => {
    const isNew = progress.file !== file;
    if (!isNew && progress.bytes < progress.totalBytes && performance.now() - told < TELL_EVERY_MS) return;
    file = progress.file;
    told = performance.now();
    say(`downloading hub:${progress.repository}: ${formatBytes(progress.bytes)} of ${formatBytes(progress.totalBytes)}, ${progress.file}`);
  };
}

/** The models of this project. */
import type { DownloadProgress, ModelStore } from '../models/index.ts';
import { openProjectStore } from '../pipeline/index.ts';
import { formatBytes, formatDuration } from '../plot/index.ts';
import { hubSettings } from './hub-settings.ts';
import type { Io } from './io.ts';
import { rootOf } from './paths.ts';

export interface StoreSettings {
  /** Another project directory than the user's own. */
  root?: string;
  /** Hears how far a download is; by default the user does. */
  say?: (text: string) => void;
}

export function storeOf(io: Io, { root = rootOf(io), say = io.say }: StoreSettings = {}): Promise<ModelStore> {
  const { hub, ...places } = hubSettings(io.env);
  return openProjectStore({ root, cwd: io.cwd, ...places, hub: { ...hub, onNotice: say, onProgress: downloadTeller(say, () => performance.now()) } });
}

/** At most one line in that time, and one for each file. */
const TELL_EVERY_MS = 2000;
/** The speed is that of the last moments: networks change their minds. What took less than one says nothing. */
const SPEED_OVER_MS = 10_000;
const MOMENT_MS = 1000;

/** `downloading hub:org/name: 120 MB of 538 MB, 11.2 MB/s, 38s left, model.safetensors` */
export function downloadTeller(say: (text: string) => void, now: () => number): (progress: DownloadProgress) => void {
  let told = -Infinity;
  let file = '';
  let moments: { time: number; received: number }[] = [];
  return (progress) => {
    const time = now();
    const isNew = progress.file !== file;
    if (!isNew && progress.bytes < progress.totalBytes && time - told < TELL_EVERY_MS) return;
    file = progress.file;
    told = time;
    moments = [...moments.filter((moment, index) => time - moment.time < SPEED_OVER_MS || index === moments.length - 1), { time, received: progress.receivedBytes }];
    const { time: since, received } = moments[0]!;
    const speed = time - since >= MOMENT_MS ? ((progress.receivedBytes - received) / (time - since)) * 1000 : 0;
    const left = progress.totalBytes - progress.bytes;
    const pace = speed > 0 && left > 0 ? [`${formatBytes(speed)}/s`, `${formatDuration((left / speed) * 1000)} left`] : [];
    say([`downloading hub:${progress.repository}: ${formatBytes(progress.bytes)} of ${formatBytes(progress.totalBytes)}`, ...pace, file].join(', '));
  };
}

/** Who hears of a job: programs (JSON lines), a full screen, or a plain log. Decided once. */
import type { JobControls, JobEvent } from '../events.ts';
import type { Invocation } from './commands.ts';
import { isInteractive } from './io.ts';
import { shorten } from './paths.ts';
import { createPlainLog } from './plain.ts';

export interface Screen {
  listen(event: JobEvent): void;
  /** Restores the terminal. */
  close(): Promise<void>;
}

export async function openScreen({ flags, io }: Invocation, _controls: JobControls): Promise<Screen> {
  const plain = createPlainLog({
    write: (line) => io.say(line),
    paint: (style, text) => io.paint(style, text),
    shorten: (path) => shorten(path, io),
  });
  if (flags.json) {
    return { listen: (event) => io.json(event), close: async () => {} };
  }
  return { listen: plain, close: async () => {} };
}

export { isInteractive };

/** Lines from a terminal, an answer to each. */
import { createInterface } from 'node:readline/promises';
import { exitOf } from './exit-codes.ts';
import type { Io } from './io.ts';

/**
 * Until Ctrl-D. Ctrl-C ends the answer that is under way, or, while none is, the conversation. What a line does wrong is told, and the next one is
 * asked for. The prompt and the echo go to stderr, so that stdout has the answers alone.
 */
export async function converse(io: Pick<Io, 'stdin' | 'lineEditor' | 'signal' | 'say' | 'tell' | 'paint'>, answer: (line: string, signal: AbortSignal) => Promise<void>): Promise<void> {
  using lines = createInterface({ input: io.stdin, output: io.lineEditor, prompt: '> ', terminal: io.stdin.isTTY });
  let answering: AbortController | null = null;
  lines.on('SIGINT', () => {
    if (answering) answering.abort();
    else lines.close();
  });
  let isOpen = true;
  lines.once('close', () => (isOpen = false));
  io.signal.addEventListener('abort', () => lines.close(), { once: true });
  lines.prompt();
  for await (const line of lines) {
    if (line.trim() !== '') {
      answering = new AbortController();
      const signal = AbortSignal.any([io.signal, answering.signal]);
      await answer(line, signal).catch((error: unknown) => tell(error, signal, io));
      answering = null;
      if (io.signal.aborted) return;
    }
    // What was typed ahead of the end is still answered.
    if (isOpen) lines.prompt();
  }
  io.lineEditor.write('\n');
}

function tell(error: unknown, signal: AbortSignal, io: Pick<Io, 'say' | 'tell' | 'paint'>): void {
  if (signal.aborted) return io.say(' …');
  if (exitOf(error) === null) throw error;
  const { message, fix } = error as Error & { fix?: string | null };
  io.tell(`${io.paint('red', 'error')}: ${message}${fix ? `\n  ${fix}` : ''}`);
}

/** Which line of the user's own code an error comes from. */
import { stripTypeScriptTypes } from 'node:module';
import { fileURLToPath } from 'node:url';
import { isUserCode } from '../util/user-sources.ts';
import type { CodePlace } from './types.ts';

/** The innermost frame of the stack that lies in the user's files, or where a file could not be parsed. */
export function placeOf(error: unknown): CodePlace | null {
  if (!(error instanceof Error)) return null;
  const stack = String(error.stack).slice(0, 20_000);
  const frame = (stack.match(/file:\/\/[^\s)]+:\d+:\d+/g) ?? []).find(isUserCode);
  const [, url, line, column] = /^(.*):(\d+):(\d+)$/.exec(frame ?? '') ?? [];
  if (url) return { file: fileURLToPath(url), line: Number(line), column: Number(column) };
  return parsedPlace(stack);
}

/** A mistake in the syntax stands before the message: `FILE:LINE`, the code around it, and carets below the mistake (none at the end of a file). */
function parsedPlace(stack: string): CodePlace | null {
  const [head = '', ...shown] = stack.split('\n');
  const [, where, line] = /^(.+):(\d+)$/.exec(head) ?? [];
  const caret = shown.find((text) => /^\s*\^+\s*$/.test(text));
  if (!where || !line) return null;
  return { file: where.startsWith('file:') ? fileURLToPath(where) : where, line: Number(line), column: (caret?.indexOf('^') ?? 0) + 1 };
}

/** Node does not say where a JavaScript file breaks off; the parser that strips types does. */
export function syntaxPlace(url: string, text: string): CodePlace | null {
  const warn = process.emitWarning;
  process.emitWarning = () => {};
  try {
    stripTypeScriptTypes(text, { sourceUrl: url });
    return null;
  } catch (error) {
    const place = placeOf(error);
    return place && { ...place, file: fileURLToPath(url) };
  } finally {
    process.emitWarning = warn;
  }
}

/**
 * @file The gate in front of the terminal. Whatever a model, a file, a task or somebody's code says is text there and nothing else: only
 * colours that were painted here pass, and secrets do not.
 */
import { randomInt } from 'node:crypto';
import { styleText } from 'node:util';
import { withoutControls } from '../util/controls.ts';

export type Style = Parameters<typeof styleText>[0];

export interface Gate {
  /** Coloured when the stream shows colours. */
  paint(style: Style, text: string, stream: NodeJS.WriteStream): string;
  /** The text as it may reach a terminal. */
  clean(text: string): string;
  /** From now on no text passes without this. */
  conceal(conceal: (text: string) => string): void;
}

/**
 * Paint carries a mark until it passes: parameters of the sequence that nobody can guess, and that whoever measures a text takes for a
 * part of the colour.
 */
export function createGate(): Gate {
  const mark = Array.from({ length: 4 }, () => randomInt(1000, 10_000)).join(';');
  const own = new RegExp(`(\\u001b\\[${mark};[\\d;]*m)`);
  // eslint-disable-next-line no-control-regex
  const sequence = /\u001b\[([\d;]*)m/g;
  let conceal = (text: string): string => text;
  /** Splitting keeps what is painted here at the odd places. */
  const parts = (text: string, plain: (text: string) => string, painted: (text: string) => string): string =>
    text.split(own).map((part, index) => (index % 2 === 0 ? plain(part) : painted(part))).join('');
  const plainly = (text: string): string => withoutControls(text.replaceAll('\r\n', '\n'), { keep: '\n\t' });
  return {
    paint(style, text, stream) {
      const inner = parts(text, plainly, (painted) => painted);
      const [before = '', after = ''] = styleText(style, '\0', { stream }).split('\0').map((codes) => codes.replace(sequence, `\u001b[${mark};$1m`));
      return `${before}${inner}${after}`;
    },
    clean: (text) => parts(conceal(text), plainly, (painted) => painted.replace(`${mark};`, '')),
    conceal(next) {
      const before = conceal;
      conceal = (text) => next(before(text));
    },
  };
}

/** @file What arrives from the terminal → the keys that were pressed, in their order. */
import type { Key as InkKey } from 'ink';
import type { Key } from './ui.ts';

const namedKeys = {
  upArrow: 'up',
  downArrow: 'down',
  leftArrow: 'left',
  rightArrow: 'right',
  pageUp: 'pageup',
  pageDown: 'pagedown',
  return: 'return',
  escape: 'escape',
  tab: 'tab',
  home: 'home',
  end: 'end',
} as const satisfies Partial<Record<keyof InkKey, Key>>;

/**
 * Ink takes escape sequences out of a chunk, but hands over the characters between them as one text: fast typing over a slow line, or a
 * paste, is "3jjR". Here every character is a key of its own. An escape right before a character looks like Alt; it was Esc, then a key.
 */
export function keysOf(input: string, key: Partial<InkKey>): Key[] {
  if (key.ctrl) return [`ctrl-${input}`];
  const name = (Object.keys(namedKeys) as (keyof typeof namedKeys)[]).find((entry) => key[entry]);
  if (name) return [namedKeys[name]];
  const keys = [...input].map(characterKey);
  return key.meta ? ['escape', ...keys] : keys;
}

function characterKey(character: string): Key {
  if (character === '\r' || character === '\n') return 'return';
  if (character === '\t') return 'tab';
  if (character === '\u001b') return 'escape';
  const code = character.charCodeAt(0);
  return code >= 1 && code <= 26 ? `ctrl-${String.fromCharCode(code + 96)}` : character;
}

import { expect, test } from 'vitest';
import { keysOf } from '../../src/tui/keys.ts';

test.each([
  ['a character', 'q', {}, ['q']],
  ['an arrow', '', { downArrow: true }, ['down']],
  ['Ctrl and a letter', 'c', { ctrl: true }, ['ctrl-c']],
  ['characters of one chunk', '3jR', {}, ['3', 'j', 'R']],
  ['Tab and Enter among characters', '4\t\rq\n', {}, ['4', 'tab', 'return', 'q', 'return']],
  ['a control character among others', 'a\u0004', {}, ['a', 'ctrl-d']],
  ['Esc right before a character, which looks like Alt', 'q', { meta: true }, ['escape', 'q']],
  ['Esc', '', { escape: true, meta: true }, ['escape']],
  ['a character outside the basic plane', '🙂q', {}, ['🙂', 'q']],
  ['nothing', '', {}, []],
])('%s', (_, input, key, keys) => expect(keysOf(input, key)).toEqual(keys));

import { describe, expect, test } from 'vitest';
import { createGate } from '../../src/cli/gate.ts';
import { oneLine, table } from '../../src/cli/text.ts';

const colours = Object.assign(Object.create(process.stdout), { isTTY: true, getColorDepth: () => 8, hasColors: () => true }) as NodeJS.WriteStream;
const stream = (): NodeJS.WriteStream => {
  delete process.env['NO_COLOR'];
  process.env['FORCE_COLOR'] = '1';
  return colours;
};
const hostile = '\u001b]0;PWNED\u0007\u001b[2J\u009b31m\u001b[31mred\u202e\u2066\u061c';

describe('the gate', () => {
  test('lets through what was painted here, and of everything else the text alone', () => {
    const gate = createGate();
    expect(gate.clean(`${gate.paint('red', 'error', stream())}: ${hostile}\n\tmore`)).toBe('\u001b[31merror\u001b[39m: ]0;PWNED[2J31m[31mred\n\tmore');
  });

  test('cleans what is painted, and keeps paint inside paint', () => {
    const gate = createGate();
    const inner = gate.paint('bold', `b${hostile}`, stream());
    expect(gate.clean(gate.paint('red', `a${inner}`, stream()))).toBe('\u001b[31ma\u001b[1mb]0;PWNED[2J31m[31mred\u001b[22m\u001b[39m');
  });

  test('knows its own paint from that of another process', () => {
    const forged = createGate().paint('red', 'completed', stream());
    // eslint-disable-next-line no-control-regex
    expect(createGate().clean(forged)).not.toMatch(/\u001b/);
  });

  test('keeps secrets back', () => {
    const gate = createGate();
    gate.conceal((text) => text.replaceAll('sk-1234567', '${env:KEY}'));
    expect(gate.clean('401 for sk-1234567')).toBe('401 for ${env:KEY}');
  });
});

test('a cell of a table is one line of text', () => {
  expect(table([{ title: 'Task' }, { title: 'Reward' }], [[`a\nb${hostile}`, '1']])).toBe('Task    Reward\na⏎bred  1');
  expect(oneLine('\u202eabc\u2069')).toBe('abc');
});

/** What stands between a model's words and the page. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { clip, html, jsonBlock, trusted, visible, visibleLine } from '../../src/report/html.ts';
import { formatChange, formatValue, tickFormat } from '../../src/report/format.ts';
import { spread, tokenTextsOf } from '../../src/report/samples.ts';

describe('html', () => {
  test('escapes every value that is not markup, and nothing twice', () => {
    expect(html`<b title="${'"><i>'}">${'<i>'}${html`<u>${'&'}</u>`}${[1, '<', null, false]}</b>`.markup).toBe('<b title="&quot;&gt;&lt;i&gt;">&lt;i&gt;<u>&amp;</u>1&lt;</b>');
  });
  test('an object that looks like markup is none', () => {
    expect(html`${JSON.parse('{"markup":"<script>"}') as never}`.markup).not.toContain('<script>');
    expect(html`${trusted('<br>')}`.markup).toBe('<br>');
  });
  test('no text can end the block of data', () => {
    const { markup } = jsonBlock('data', { text: '</script><script>alert(1)</script><!--' });
    expect(markup.match(/<\/?script/g)).toEqual(['<script', '</script']);
    expect(JSON.parse(/>(.*)<\/script>$/.exec(markup)![1]!)).toEqual({ text: '</script><script>alert(1)</script><!--' });
  });
});

describe('visible', () => {
  test('shows what cannot be seen', () => {
    expect(visible('a\u001b[31m\r\nb\t\u202ec\u200bd')).toBe('a␛[31m\nb\t⟨U+202E⟩c⟨U+200B⟩d');
    expect(visibleLine('a\nb\tc')).toBe('a⏎b c');
    expect(visible('\ud800x')).toBe('\ufffdx');
  });
  test('leaves neither controls nor direction marks, whatever the text', () => {
    // oxlint-disable-next-line no-control-regex
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => void expect(visible(text)).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/)));
  });
  test('clips between characters as people see them', () => {
    expect(clip('abc', 3)).toBe('abc');
    expect(clip('👩‍👩‍👧‍👦👩‍👩‍👧‍👦', 12)).toBe('👩‍👩‍👧‍👦…');
  });
});

describe('tokens', () => {
  const characters = new Map([[1, [0xe2]], [2, [0x82, 0xac]], [3, [0x41]]]);
  const decode = (ids: readonly number[]) => Buffer.from(ids.flatMap((id) => characters.get(id)!)).toString();
  test('a character made of two tokens belongs to the one that completes it', () => expect(tokenTextsOf(decode)([3, 1, 2, 3])).toEqual(['A', '', '€', 'A']));
  test('texts add up to the completion', () => {
    fc.assert(fc.property(fc.array(fc.constantFrom([3], [1, 2]), { maxLength: 12 }), (parts) => void expect(tokenTextsOf(decode)(parts.flat()).join('')).toBe(decode(parts.flat()))));
  });
});

test('spread keeps both ends', () => {
  expect(spread([1, 2, 3, 4, 5], 3)).toEqual([1, 3, 5]);
  expect(spread([1, 2], 5)).toEqual([1, 2]);
  expect(spread([1, 2, 3], 1)).toEqual([3]);
});

test('numbers in their units', () => {
  expect([formatValue.share(0.125), formatValue.share(1), formatValue.seconds(0.34), formatValue.seconds(187)]).toEqual(['12.5%', '100%', '340ms', '3m 07s']);
  expect([tickFormat('share', [0, 1], 3)(0.5), tickFormat('seconds', [0, 300], 3)(120), tickFormat('seconds', [0, 0.06], 3)(0.02)]).toEqual(['50%', '2 min', '20 ms']);
  expect(formatChange({ value: -0.02, low: -0.1, high: 0.06 })).toBe('−0.020 [−0.100, +0.060]');
});

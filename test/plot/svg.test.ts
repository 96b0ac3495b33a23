import { describe, expect, test } from 'vitest';
import { escapeXml, linearScale, svgAxis, svgBandPath, svgLinePath, svgNumber } from '../../src/plot/index.ts';

const x = linearScale([0, 4], [0, 400]);
const y = linearScale([0, 1], [100, 0]);

describe('svg paths', () => {
  test('a gap begins a new subpath, a lone value is a dot', () => {
    const path = svgLinePath([{ x: 0, y: 0 }, { x: 1, y: 0.5 }, { x: 2, y: null }, { x: 3, y: 1 }, { x: 4, y: null }], x, y);
    expect(path).toBe('M0,100L100,50M300,0h0');
  });
  test('a band runs along its top and back along its bottom, once per unbroken run', () => {
    const path = svgBandPath([{ x: 0, low: 0, high: 1 }, { x: 1, low: 0.5, high: 1 }, { x: 2, low: null, high: null }, { x: 3, low: 0, high: 1 }], x, y);
    expect(path).toBe('M0,0L100,0L100,50L0,100Z');
  });
  test('no NaN ever gets into a path', () => {
    expect(() => svgNumber(NaN)).toThrow('must be finite');
    expect(svgNumber(-0.001)).toBe('0');
    expect(svgNumber(12.3456)).toBe('12.35');
  });
});

describe('svgAxis', () => {
  test('writes nice ticks with their labels and grid', () => {
    const axis = svgAxis({ side: 'left', scale: y, at: 40, gridTo: 440, count: 2, label: 'reward' });
    expect(axis).toContain('<line class="grid" x1="40" x2="440" y1="50" y2="50"/>');
    expect(axis.match(/<text/g)!.length).toBe(4);
    expect(axis).toContain('>0.5</text>');
    expect(axis).toContain('reward</text>');
  });
  test('escapes its words', () => expect(svgAxis({ side: 'bottom', scale: x, at: 0, label: '<b>&' })).toContain('&lt;b&gt;&amp;'));
});

test('escapeXml drops what XML forbids', () => expect(escapeXml('a\u0000<b>"\'&\n')).toBe('a&lt;b&gt;&quot;&#39;&amp;\n'));

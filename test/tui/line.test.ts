import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { treeRows } from '../../src/tui/tree.ts';
import { clean, fit, lineWidth, plainText, span, textWidth, toAnsi, wholeParts, wrap } from '../../src/tui/line.ts';
import { createTheme, detectTheme, sgr } from '../../src/tui/theme.ts';
import stringWidth from 'string-width';

const theme = createTheme({ depth: 24, ascii: false });

describe('lines', () => {
  test('fit cuts and fills to exactly the width, also through wide characters', () => {
    expect(plainText(fit([span('hello')], 8))).toBe('hello   ');
    expect(plainText(fit([span('hello'), span(' world')], 8))).toBe('hello w…');
    expect(plainText(fit([span('漢字漢字')], 6))).toBe('漢字… ');
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'grapheme' })), fc.nat(40), (texts, width) => {
        const line = fit(texts.map((text) => span(clean(text, theme))), width);
        expect(lineWidth(line)).toBe(width);
      }),
    );
  });

  test('the quick measure agrees with the thorough one', () => {
    fc.assert(fc.property(fc.string({ unit: 'grapheme' }), (text) => void expect(textWidth(text)).toBe(stringWidth(text))));
    for (const char of '·±×−…→↗↘⏎▸●▲■□▪▣◆★◉━╸╌─│┤└╯╴↺✔‖⢕█▁Δé') expect([char, textWidth(char)]).toEqual([char, 1]);
  });

  test('wrap breaks between words, cuts endless ones, and says that it left something out', () => {
    expect(wrap('the quick brown fox', 10)).toEqual(['the quick', 'brown fox']);
    expect(wrap('abcdefghij', 4)).toEqual(['abcd', 'efgh', 'ij']);
    expect(wrap('abcdefghij', 4, 2)).toEqual(['abcd', 'efg…']);
    expect(wrap('漢字', 1)).toEqual(['漢', '字']);
  });

  test.each([
    ['a family of four, joined', '👩‍👩‍👧‍👦', '👩👩👧👦'],
    ['a flag', '🇩🇪', 'DE'],
    ['a skin tone and a variation selector', '👍🏽 ❤️ 1️⃣', '👍 ❤ 1'],
    ['an accent of its own', 'e\u0301', 'é'],
    ['marks that no character has in one piece', 'x\u0301 हिन्दी', 'x हनद'],
    ['Thai sara am', 'น้ำ', 'นา'],
    ['a Korean syllable in parts', '\u1112\u1161\u11ab', '한'],
    ['half-width katakana with a sound mark', 'ｶﾞ', 'ｶ'],
    ['an ideographic space and a no-break space', 'a\u3000b\u00a0c', 'a  b c'],
    ['private and unassigned characters', '\ue000\u0378', '\ufffd\ufffd'],
  ])('clean leaves nothing whose width terminals disagree on: %s', (_, text, shown) => expect(clean(text, theme)).toBe(shown));

  test('what clean leaves is as wide as its characters one by one', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (text) => {
        const shown = clean(text, theme);
        expect(textWidth(shown)).toBe([...shown].reduce((sum, character) => sum + textWidth(character), 0));
      }),
      { numRuns: 1000 },
    );
  });

  test('clean keeps what is read and drops what acts', () => {
    expect(clean('a\r\nb\tc\u001b[31md\u001b[0m\u0007\u202e\ud800', theme)).toBe('a⏎b cd\ufffd');
  });

  test('wholeParts leaves out what does not fit whole', () => {
    expect(plainText(wholeParts([[span('one ')], [span('much too long ')], [span('two')]], 8))).toBe('one two');
  });

  test('toAnsi writes one escape sequence for neighbours of one style', () => {
    expect(toAnsi([span('a', 'ok'), span('b', 'ok'), span('c')], createTheme({ depth: 4, ascii: false }))).toBe('\u001b[32mab\u001b[0mc');
  });
});

describe('themes', () => {
  test('one tone at every depth', () => {
    expect(sgr({ tone: 'bad', bold: true }, 24)).toBe('\u001b[1;38;2;240;116;62m');
    expect(sgr({ tone: 'bad' }, 8)).toBe('\u001b[38;5;209m');
    expect(sgr({ tone: 'bad' }, 4)).toBe('\u001b[91m');
    expect(sgr({ tone: 'bad', bold: true }, 1)).toBe('\u001b[1m');
    expect(sgr({}, 24)).toBe('');
  });

  const tty = { getColorDepth: () => 24 };
  test.each([
    [{ LANG: 'en_US.UTF-8' }, 'linux', 24, false],
    [{ LANG: 'C.UTF-8', NO_COLOR: '1' }, 'linux', 1, false],
    [{ LANG: 'C' }, 'linux', 24, true],
    [{ LANG: 'en_US.UTF-8', LC_ALL: 'POSIX' }, 'linux', 24, true],
    [{ LANG: 'en_US.UTF-8', TERM: 'linux' }, 'linux', 24, true],
    [{}, 'linux', 24, true],
    [{}, 'darwin', 24, false],
  ] as const)('%o on %s', (env, platform, depth, ascii) => {
    expect(detectTheme(tty, env, platform)).toMatchObject({ depth, ascii });
  });
});

describe('treeRows', () => {
  const node = (id: string, parent: string | null) => ({ id, name: id, parent, step: 0, meanReward: null, evalReward: null });
  const draw = (rows: ReturnType<typeof treeRows>) => rows.map(({ checkpoint, lane, passing, joining }) => `${checkpoint.id}@${lane} |${passing} <${joining}`);

  test('a line stays in one lane', () => {
    expect(draw(treeRows([node('a', null), node('b', 'a'), node('c', 'b')]))).toEqual(['c@0 | <', 'b@0 | <', 'a@0 | <']);
  });

  test('a branch runs beside the line and joins it where it began', () => {
    // a ─ b ─ x ─ y (abandoned), then c from b
    const rows = treeRows([node('a', null), node('b', 'a'), node('x', 'b'), node('y', 'x'), node('c', 'b')]);
    expect(draw(rows)).toEqual(['c@0 | <', 'y@1 |0 <', 'x@1 |0 <', 'b@0 | <1', 'a@0 | <']);
  });

  test('several roots need no more lanes than branches that are open', () => {
    const rows = treeRows([node('a', null), node('b', null), node('c', 'a')]);
    expect(draw(rows)).toEqual(['c@0 | <', 'b@1 |0 <', 'a@0 | <']);
  });

  test('every checkpoint has its row, whatever the tree', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(30), { maxLength: 30 }), (parents) => {
        const nodes = parents.map((parent, index) => node(`n${index}`, parent < index ? `n${parent}` : null));
        const rows = treeRows(nodes);
        expect(rows.map((row) => row.checkpoint.id)).toEqual(nodes.map(({ id }) => id).reverse());
        for (const row of rows) expect(row.passing).not.toContain(row.lane);
      }),
    );
  });
});

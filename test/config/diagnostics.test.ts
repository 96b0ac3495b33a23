import { describe, expect, test } from 'vitest';
import { formatDiagnostic, formatDiagnostics, type Diagnostic, type Source } from '../../src/config/index.ts';
import { diagnose, sortDiagnostics } from '../../src/config/diagnostics.ts';

const source = (text: string, name = 'a.yaml'): Source => ({ kind: 'file', name, path: `/project/${name}`, directory: '/project', text });
const problem = (text: string, word: string, fix?: string): Diagnostic => {
  const start = text.indexOf(word);
  return diagnose('unknown-key', `unknown key "${word}"`, { source: source(text), start, end: start + word.length }, { fix });
};

describe('a diagnostic', () => {
  test('shows the line before, the line, and a caret with the fix', () => {
    const text = 'steps: 60\ntrain:   { learnin_rate: 3e-4, loss: importance_sampling }\n';
    expect(formatDiagnostic(problem(text, 'learnin_rate', 'did you mean "learning_rate"?'))).toBe(`error[unknown-key]: unknown key "learnin_rate"
  --> a.yaml:2:12
1 | steps: 60
2 | train:   { learnin_rate: 3e-4, loss: importance_sampling }
  |            ^^^^^^^^^^^^ did you mean "learning_rate"?`);
  });

  test('puts the caret under wide characters, and behind tabs', () => {
    expect(formatDiagnostic(problem('a: { 日本: 1, 語: 2 }', '語')).split('\n').slice(-2)).toEqual(['1 | a: { 日本: 1, 語: 2 }', '  |               ^^']);
    expect(formatDiagnostic(problem('a:\t\tb', 'b')).split('\n').slice(-2)).toEqual(['1 | a:    b', '  |       ^']);
  });

  test('shows nothing of the line ends of Windows', () => {
    expect(formatDiagnostic(problem('a: 1\r\nb: 2\r\n', 'b')).split('\n').slice(-3)).toEqual(['1 | a: 1', '2 | b: 2', '  | ^']);
  });

  test('underlines no more than its first line, and at least one column', () => {
    expect(formatDiagnostic(problem('a: [1,\n  2]\n', '[1,\n  2]')).split('\n').at(-1)).toBe('  |    ^^^');
    expect(formatDiagnostic(diagnose('empty-file', 'x', { source: source('a: '), start: 3, end: 3 })).split('\n').at(-1)).toBe('  |    ^');
  });

  test('keeps within the width it is given', () => {
    const text = `x: ${'y'.repeat(300)} here ${'z'.repeat(300)}`;
    const lines = formatDiagnostic(problem(text, 'here'), { width: 60 }).split('\n');
    expect(lines.map((line) => line.length).filter((length) => length > 60)).toEqual([]);
    expect(lines.at(-2)).toContain('here');
    expect(lines.at(-1)?.indexOf('^')).toBe(lines.at(-2)?.indexOf('here'));
  });

  test('shows neither control characters nor bidirectional marks of the file', () => {
    expect(formatDiagnostic(problem('a: "\u001b[2J\u202e" b', 'b'))).not.toMatch(/\p{Cc}(?<!\n)|\u202e/u);
  });

  test('is coloured by the function it is given', () => {
    const coloured = formatDiagnostic(problem('ab: 1', 'ab', 'fix'), { style: (style, text) => `<${style}:${text}>` });
    expect(coloured).toBe('<error:error[unknown-key]>: unknown key "ab"\n  <place:-->> a.yaml:1:1\n<line-number:1 |> ab: 1\n<line-number:  |> <caret:^^> <caret:fix>');
  });
});

describe('several diagnostics', () => {
  const text = Array.from({ length: 30 }, (_, i) => `k${i}_: 1`).join('\n');
  const all = Array.from({ length: 30 }, (_, i) => problem(text, `k${i}_`));

  test('stand in the order of the files and their lines, each once', () => {
    const other = { ...problem('z: 1', 'z'), at: { source: source('z: 1', 'b.yaml'), start: 0, end: 1 } };
    const sorted = sortDiagnostics([other, all[2]!, all[1]!, all[1]!], ['/project/b.yaml', '/project/a.yaml']);
    expect(sorted.map(({ message }) => message)).toEqual(['unknown key "z"', 'unknown key "k1_"', 'unknown key "k2_"']);
  });

  test('end after twenty, with the count of all', () => {
    const printed = formatDiagnostics([...all, diagnose('no-effect', 'nothing', { source: source('a'), start: 0, end: 1 })]);
    expect(printed.match(/^error/gm)).toHaveLength(20);
    expect(printed.endsWith('\n\n… and 11 more\n\n30 errors, 1 warning')).toBe(true);
  });

  test('are nothing if there are none', () => {
    expect(formatDiagnostics([])).toBe('');
  });
});

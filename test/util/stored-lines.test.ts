import { appendFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { uniform } from '../../src/util/random.ts';
import { lineSealer, mendLines, readStoredLines } from '../../src/util/stored-lines.ts';

interface Row {
  step: number;
  text: string;
}
const rows = Array.from({ length: 9 }, (_, step): Row => ({ step, text: `\u2028 ${'ä'.repeat(step)}` }));

function sealed(values: readonly Row[]): string[] {
  const seal = lineSealer();
  return values.map((row) => `${seal(JSON.stringify(row))}\n`);
}

async function fileOf(text: string | Buffer): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'rlrun-lines-'));
  onTestFinished(() => rm(directory, { recursive: true }));
  await writeFile(join(directory, 'rows.jsonl'), text);
  return join(directory, 'rows.jsonl');
}

const misfit = (value: unknown) => (Number.isInteger((value as Row | null)?.step) ? null : 'no row');
const read = (path: string, untilDamaged = false) => readStoredLines<Row>(path, { misfit, untilDamaged });
const whole = { rows, damaged: [], isClean: true };

test('lines come back as they were written, whatever characters they hold; other tools read them as they always did', async () => {
  const path = await fileOf(sealed(rows).join(''));
  expect(await read(path)).toEqual(whole);
  expect((await readFile(path, 'utf8')).trim().split('\n').map((line) => JSON.parse(line) as Row)).toMatchObject(rows);
  expect(await read(join(path, '..', 'none'))).toEqual({ rows: [], damaged: [], isClean: true });
});

const lines = sealed(rows);
test.each<[what: string, text: readonly string[], kept: readonly number[], damaged: readonly number[]]>([
  ['a last line that was torn', [...lines.slice(0, 5), lines[5]!.slice(0, 30)], [0, 1, 2, 3, 4], []],
  ['a last line without its line break', [...lines.slice(0, 5), lines[5]!.trim()], [0, 1, 2, 3, 4], []],
  ['a line that stands there twice', [...lines.slice(0, 4), lines[3]!, ...lines.slice(4)], [0, 1, 2, 3, 4, 5, 6, 7, 8], []],
  ['lines that stand there twice', [...lines.slice(0, 6), ...lines.slice(2, 6), ...lines.slice(6)], [0, 1, 2, 3, 4, 5, 6, 7, 8], []],
  ['a file that was put behind itself', [...lines, ...lines], [0, 1, 2, 3, 4, 5, 6, 7, 8], []],
  ['a line that is missing', [...lines.slice(0, 3), ...lines.slice(4)], [0, 1, 2], [4]],
  ['two lines that changed places', [lines[0]!, lines[2]!, lines[1]!, ...lines.slice(3)], [0], [2]],
  ['a number that changed', [...lines.slice(0, 4), lines[4]!.replace('"step":4', '"step":5'), ...lines.slice(5)], [0, 1, 2, 3], [5]],
  ['a line without its checksum', [...lines.slice(0, 4), `${JSON.stringify(rows[4])}\n`, ...lines.slice(5)], [0, 1, 2, 3], [5]],
  ['what older versions wrote, goes on with checksums', [`${JSON.stringify(rows[0])}\n`, `${JSON.stringify(rows[0])}\n`, '{"torn\n', ...sealed(rows.slice(1, 3))], [0, 1, 2], []],
])('%s', async (_, text, kept, damaged) => {
  const found = await read(await fileOf(text.join('')), true);
  expect(found.rows.map(({ step }) => step)).toEqual(kept);
  expect(found.damaged.map(({ line }) => line)).toEqual(damaged);
});

test('no bit of a file changes what its rows say; rows behind the damaged one are still there for readers', async () => {
  const bytes = Buffer.from(lines.join(''));
  const path = await fileOf(bytes);
  for (let trial = 0; trial < 300; trial++) {
    const flipped = Buffer.from(bytes);
    const bit = Math.floor(uniform([1], trial) * 8 * bytes.length);
    flipped[bit >> 3]! ^= 1 << (bit & 7);
    await writeFile(path, flipped);
    const found = await read(path);
    for (const row of found.rows) expect(row).toMatchObject(rows[row.step]!);
    expect(found.rows.length).toBeGreaterThanOrEqual(rows.length - 2);
    expect(found.isClean && found.rows.length === rows.length).toBe(false);
  }
});

test('what is damaged or there twice is taken out, and the rest has its checksums anew', async () => {
  const path = await fileOf([lines[0]!, lines[0]!, lines[1]!.replace('1', '7'), ...lines.slice(2, 4)].join(''));
  expect((await mendLines(path)).map(({ line }) => line)).toEqual([3]);
  expect(await read(path)).toEqual({ rows: [rows[0], rows[2], rows[3]], damaged: [], isClean: true });
  await appendFile(path, lines[4]!);
  expect((await mendLines(path)).map(({ line }) => line)).toEqual([4]);
  expect(await mendLines(path)).toEqual([]);
});

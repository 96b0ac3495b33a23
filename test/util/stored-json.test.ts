import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { readRegularFile } from '../../src/util/regular-file.ts';
import { misfit, type Shape } from '../../src/util/shape.ts';
import { parseStored, readStored, storedJson } from '../../src/util/stored-json.ts';

interface Note {
  name: string;
  start: { step: number };
  score: number | null;
  more?: string;
}
const shape: Shape<Note> = { name: 'a text', start: { step: 'a whole number' }, score: 'a number or null', more: 'a text?' };
const note: Note = { name: 'küß', start: { step: 3 }, score: 1e-7 };

async function folder(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'rlrun-stored-'));
  onTestFinished(() => rm(directory, { recursive: true }));
  return directory;
}

describe('stored JSON', () => {
  test('comes back as it was written, also laid out anew, and from versions that wrote no checksum', () => {
    const text = storedJson(note);
    expect(Object.keys(JSON.parse(text) as object).at(-1)).toBe('crc32');
    expect(parseStored(text, shape)).toEqual({ ok: true, value: note });
    expect(parseStored(JSON.stringify(JSON.parse(text)), shape)).toEqual({ ok: true, value: note });
    expect(parseStored(JSON.stringify(note), shape)).toEqual({ ok: true, value: note });
  });

  test('no bit of it changes what it says', () => {
    const bytes = Buffer.from(storedJson(note));
    for (let bit = 0; bit < 8 * bytes.length; bit++) {
      const flipped = Buffer.from(bytes);
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      const parsed = parseStored(flipped.toString(), shape);
      // The checksum's own name is no part of what it says.
      if (parsed.ok) expect(parsed.value).toMatchObject(note);
    }
  });

  test.each([
    ['{', 'it is not JSON: '],
    ['[]', 'it does not hold an object'],
    ['{}', '"name" is missing, expected a text'],
    ['{"name":7}', '"name" is 7, expected a text'],
    ['{"name":"a","start":null,"score":null}', '"start" is null, expected an object'],
    ['{"name":"a","start":{"step":-1},"score":null}', '"start.step" is -1, expected a whole number'],
    ['{"name":"a","start":{"step":1},"score":"high"}', '"score" is "high", expected a number or null'],
    ['{"name":"a","start":{"step":1},"score":null,"more":[]}', '"more" is a list, expected a text'],
    [storedJson(note).replace('3', '4'), 'it was changed after it was written (its checksum differs)'],
  ])('%s', async (text, problem) => {
    const path = join(await folder(), 'note.json');
    await writeFile(path, text);
    await expect(readStored(path, shape, { fix: 'Write it again.' })).rejects.toMatchObject({ kind: 'invalid', fix: 'Write it again.', message: expect.stringContaining(`${path} is damaged: ${problem}`) });
  });

  test('what is inherited is no key', () => expect(misfit({}, { toString: 'a text' } as Shape<{ toString: string }>)).toBe('"toString" is missing, expected a text'));
});

describe('a path that is to be read', () => {
  test.skipIf(process.platform === 'win32')('is refused at once where it names no file', async () => {
    const directory = await folder();
    const pipe = join(directory, 'pipe');
    execFileSync('mkfifo', [pipe]);
    await expect(readRegularFile(pipe)).rejects.toMatchObject({ code: 'ENOTFILE', message: `${pipe} is a pipe and no file` });
    await expect(readRegularFile(directory)).rejects.toMatchObject({ code: 'EISDIR' });
    if (existsSync('/dev/zero')) await expect(readRegularFile('/dev/zero')).rejects.toMatchObject({ message: '/dev/zero is a device and no file' });
    await expect(readRegularFile(join(directory, 'none'))).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test('is refused where it is larger than such a file can be', async () => {
    const path = join(await folder(), 'large');
    await writeFile(path, '');
    await truncate(path, 5e9);
    await expect(readRegularFile(path, { maxBytes: 1e6 })).rejects.toMatchObject({ message: `${path} has 5,000 MB; such a file has at most 1 MB` });
  });
});

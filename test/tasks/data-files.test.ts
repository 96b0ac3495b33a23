/** @file Bytes, encodings and numbers of files of tasks: what is read is what was written, or refused with its place. */
import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { loadTaskset } from '../../src/tasks/index.ts';

const folder = realpathSync(mkdtempSync(join(tmpdir(), 'rlrun-data-')));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let files = 0;
function write(ending: string, content: string | Buffer): string {
  const file = join(folder, `tasks-${++files}${ending}`);
  writeFileSync(file, content);
  return file;
}
const load = (source: string, train = 2) => loadTaskset({ settings: { source, args: {}, split: { train, eval: 0 }, seed: 7 } });

async function tasks(source: string, train?: number) {
  const loaded = await load(source, train);
  if (!loaded.ok) throw new Error(`${loaded.error.message} ${loaded.error.fix}`);
  return loaded.taskset.train.toSorted((a, b) => (String(a.prompt) < String(b.prompt) ? -1 : 1));
}

async function told(source: string): Promise<{ text: string; line: number | null }> {
  const loaded = await load(source);
  if (loaded.ok) throw new Error('expected a fault');
  expect(loaded.error).toMatchObject({ key: 'source', files: [source] });
  return { text: `${loaded.error.message} ${loaded.error.fix}`.replaceAll(source, 'FILE'), line: loaded.error.at?.line ?? null };
}

const latin1 = (text: string) => Buffer.from(text, 'latin1');
const NOT_UTF8 = 'is not UTF-8 text. Save it as UTF-8; from another encoding, iconv -f FROM -t UTF-8 does it.';

describe('encodings', () => {
  test.each([
    ['.jsonl', latin1('{"prompt":"cafe 1"}\n{"prompt":"café 2"}\n'), 2],
    ['.jsonl', latin1('\n\n{"prompt":"a"}\r\n{"prompt":"b","answer":"ü"}'), 4],
    ['.json', latin1('[\n{"prompt":"a"},\n{"prompt":"é"}\n]'), 3],
    ['.yaml', latin1('- prompt: a\n- prompt: é\n'), 2],
    ['.yml', latin1('- prompt: a\n  id: é\n  args: {}\n'), 2],
    ['.jsonl', Buffer.from('\ufeff{"prompt":"a"}\n', 'utf16le'), 1],
    ['.json', Buffer.from([0x5b, 0x22, 0xc0, 0x80, 0x22, 0x5d]), 1],
    ['.jsonl', Buffer.from('{"prompt":"\u{1f600}"}\n').subarray(0, 13), 1],
    // Half of a pair, as some programs encode it; and beyond the last code point.
    ['.jsonl', Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]), 1],
    ['.jsonl', Buffer.from([0x22, 0xf4, 0x90, 0x80, 0x80, 0x22]), 1],
    ['.jsonl', latin1('{"env":"café","id":"t","args":{"x":"é"}}'), 1],
  ])('%s that is not UTF-8 is refused with its line', async (ending, bytes, line) => {
    expect(await told(write(ending, bytes))).toEqual({ text: `FILE:${line} ${NOT_UTF8}`, line });
  });

  test.each(['.jsonl', '.json', '.yaml'])('a byte order mark at the start of %s is no text; anywhere else it is', async (ending) => {
    const rows = [{ prompt: 'a\ufeff' }, { prompt: 'ü\u2028\u{1f600}' }];
    const text = ending === '.jsonl' ? rows.map((row) => JSON.stringify(row)).join('\r\n\r\n') : JSON.stringify(rows);
    expect((await tasks(write(ending, `\ufeff${text}`))).map(({ prompt }) => prompt)).toEqual(['a\ufeff', 'ü\u2028\u{1f600}']);
  });

  test('a character may lie across two reads of a file', async () => {
    const rows = ['a', 'b'].map((letter) => ({ prompt: `${letter}${'é\u{1f600}'.repeat(400_000)}` }));
    expect((await tasks(write('.jsonl', rows.map((row) => JSON.stringify(row)).join('\n')))).map(({ prompt }) => prompt)).toEqual(rows.map(({ prompt }) => prompt));
  });

  test.each([
    ['{"prompt":"a\u0000b"}', /^FILE:1:\d+ is no JSON value: /],
    ['{"prompt":"a"}\n\u0000\u0000\u0000', /^FILE:2:\d+ is no JSON value: /],
    ['{"prompt":"a"} {"prompt":"b"}', /^FILE:1:\d+ is no JSON value: /],
    ['{"prompt":"a"}\n{"prompt":"\\ud83d"}', /^FILE, line 2: "prompt" holds half of a surrogate pair, which is no character\. /],
    ['{"prompt":"a","answer":"\\udc00\\ud83d"}', /^FILE, line 1: "answer" holds half of a surrogate pair/],
    ['{"id":"t","args":{"x":{"y":["\\ud800"]}}}', /^FILE, line 1: "args" holds half of a surrogate pair/],
    ['{"prompt":[{"role":"user","content":"\\ud800"}]}', /^FILE, line 1: "prompt" holds half of a surrogate pair/],
  ])('%j', async (text, message) => {
    expect((await told(write('.jsonl', text))).text).toMatch(message);
  });
});

describe('numbers', () => {
  const written = ['12345678901234567890', '-9007199254740993', '9007199254740992', '1.50', '1.0', '0.1', '1e3', '1E-7', '-0', '-0.0', '1e999', '123456789.12345678901', '7'];
  test.each(['.jsonl', '.json', '.yaml'])('answers of %s are the numbers as they were written', async (ending) => {
    const rows = written.map((number, index) => `{"prompt": "${String.fromCharCode(97 + index)}", "answer": ${number}}`);
    const source = write(ending, ending === '.jsonl' ? rows.join('\n') : `[${rows.join(',\n')}]`);
    expect((await tasks(source, written.length)).map(({ answer }) => answer)).toEqual(written);
  });
  test('answers that differ in their last digits only are different tasks', async () => {
    const source = write('.jsonl', '{"prompt":"p","answer":12345678901234567890}\n{"prompt":"p","answer":12345678901234567891}');
    expect(new Set((await tasks(source)).map(({ id }) => id)).size).toBe(2);
    expect((await told(write('.jsonl', '{"prompt":"p","answer":12345678901234567890}\n{"prompt":"p","answer":12345678901234567890}'))).text).toMatch(/line 2: the same task is there already, in line 1/);
  });
  test('ids do not depend on how a number was written', async () => {
    const [row] = await tasks(write('.jsonl', '{"prompt":"p","answer":1.5}'), 1);
    const [other] = await tasks(write('.jsonl', '{"prompt":"p","answer":1.50}'), 1);
    expect(other!.id.slice(-8)).toBe(row!.id.slice(-8));
  });
  test.each([
    ['.jsonl', '{"id":"t","args":{"n":12345678901234567890}}', 'FILE, line 1: "args.n" is a whole number with more digits than a number can keep here. Write it in quotes.'],
    ['.yaml', '- { id: t, args: { list: [1, { n: -9007199254740993 }] } }', 'FILE, row 1: "args.list.1.n" is a whole number with more digits than a number can keep here. Write it in quotes.'],
    ['.ts', 'export default [{ prompt: "p", answer: 12345678901234567890 }];', 'FILE, row 1: "answer" is a whole number with more digits than a number can keep here. Write it in quotes.'],
  ])('what would be rounded is refused (%s)', async (ending, text, message) => {
    expect((await told(write(ending, text))).text).toBe(message);
  });
});

describe('files that cannot be read say what to do about it', () => {
  test('a folder', async () => {
    const path = join(folder, 'folder.jsonl');
    mkdirSync(path);
    expect((await told(path)).text).toBe('FILE is a folder. Name the file in it that holds the tasks.');
  });
  test.skipIf(process.getuid?.() === 0 || process.platform === 'win32')('no permission', async () => {
    const source = write('.jsonl', '{}');
    chmodSync(source, 0);
    expect((await told(source)).text).toBe('FILE cannot be read: you have no permission to. Give yourself the right to (chmod u+r), or run as who has it.');
  });
  test('no file, or a file on the way to it', async () => {
    expect((await told(join(folder, 'none.json'))).text).toBe('There is no file FILE. Correct the path; it is relative to the pipeline file.');
    expect((await told(join(write('.jsonl', ''), 'none.jsonl'))).text).toMatch(/^There is no file FILE\. /);
  });
  test('a file beyond the longest text, unless it is read line by line', async () => {
    for (const ending of ['.json', '.yaml']) {
      const source = write(ending, '[');
      truncateSync(source, 2 ** 29 + 1);
      expect((await told(source)).text).toBe('FILE is larger than 511 MB. Write it as JSON Lines (.jsonl), which is read line by line.');
    }
  });
  test('a file without line ends', async () => {
    const source = write('.jsonl', '{"prompt":"a"}\n');
    truncateSync(source, 70 * 2 ** 20);
    expect(await told(source)).toEqual({ text: 'FILE:2 has more than 64 MB without a line end. Write one JSON object per line.', line: 2 });
  });
});

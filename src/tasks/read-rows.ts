/** Rows of a JSON, JSON Lines or YAML file, each with its place, and with numbers as they were written. */
import { extname } from 'node:path';
import { type Loaded, loadFailure } from '../util/load-error.ts';
import { DataFileFault, readLines, readText } from './data-file.ts';
import type { SourceRow } from './rows.ts';
import { NumberLiteral } from './slug.ts';

type Rows = Loaded<'rows', SourceRow[]>;

/** How each kind of file is read, by its ending. */
const readers: Record<string, (file: string) => Promise<Rows>> = {
  '.jsonl': readJsonLines,
  '.json': async (file) => readJson(await readText(file), file),
  '.yaml': async (file) => readYaml(await readText(file), file),
  '.yml': async (file) => readYaml(await readText(file), file),
};

export const ROW_FILES = Object.keys(readers);

export async function readRows(file: string): Promise<Rows> {
  try {
    return await readers[extname(file).toLowerCase()]!(file);
  } catch (error) {
    // What the stack cannot hold is no row either; the depth of those that it can is checked with the row.
    if (error instanceof RangeError) return loadFailure(`${file} holds values that are nested too deep to be read.`, 'Write flat rows: { "prompt": "…", "answer": "…" }.', { key: 'source', files: [file] });
    if (error instanceof DataFileFault) return { ok: false, error: error.error };
    throw error;
  }
}

async function readJsonLines(file: string): Promise<Rows> {
  const rows: SourceRow[] = [];
  for await (const { line, text } of readLines(file)) {
    if (text.trim() === '') continue;
    try {
      const value: unknown = JSON.parse(text);
      rows.push({ value, name: `line ${line}`, literal: withLiterals(text, value), split: null });
    } catch (error) {
      if (error instanceof RangeError) throw error;
      return syntaxFault(file, { line, column: columnOf(error) }, `no JSON value: ${reasonOf(error)}`, 'Write one JSON object per line.');
    }
  }
  return { ok: true, rows };
}

function readJson(text: string, file: string): Rows {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    if (error instanceof RangeError) throw error;
    const before = text.slice(0, Number(/at position (\d+)/.exec((error as Error).message)?.[1] ?? 0)).split('\n');
    return syntaxFault(file, { line: before.length, column: before.at(-1)!.length + 1 }, `no JSON: ${reasonOf(error)}`, 'Write an array of objects.');
  }
  return listRows(value, withLiterals(text, value), file);
}

async function readYaml(text: string, file: string): Promise<Rows> {
  const yaml = await import('yaml');
  const { LineCounter, parseDocument } = yaml;
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const [fault] = document.errors;
  if (fault) {
    const { line, col } = lines.linePos(fault.pos[0]);
    return syntaxFault(file, { line, column: col }, `no YAML: ${fault.message}`, 'Write a list of rows.');
  }
  try {
    return listRows(document.toJS(), literally(yaml, document.contents, document.toJS()), file);
  } catch (error) {
    return syntaxFault(file, { line: 1, column: 1 }, (error as Error).message, 'Write the rows out.');
  }
}

/** A list of rows, or `train` and `eval` with one each. */
export function listRows(value: unknown, literal: unknown, file: string): Rows {
  const rowsOf = (list: unknown, literals: unknown, split: SourceRow['split']): SourceRow[] =>
    (list as unknown[]).map((row, index) => ({
      value: row,
      name: `${split === null ? '' : `${split} `}row ${index + 1}`,
      literal: (literals as unknown[])[index],
      split,
    }));
  if (Array.isArray(value)) return { ok: true, rows: rowsOf(value, literal, null) };
  const sides = isObject(value) && Array.isArray(value['train']) && Array.isArray(value['eval']) && Object.keys(value).length === 2;
  if (!sides) return loadFailure(`${file} holds ${isObject(value) ? 'an object' : `a ${typeof value}`}; expected a list of tasks.`, 'Write a list, or an object with the two lists train and eval.', { key: 'source', files: [file] });
  const [both, literals] = [value, literal as Record<string, unknown>];
  return { ok: true, rows: [...rowsOf(both['train'], literals['train'], 'train'), ...rowsOf(both['eval'], literals['eval'], 'eval')] };
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

/** Only where a number may be written in more ways than one: the second reading takes several times as long. */
const withLiterals = (text: string, value: unknown): unknown => (/\d[.eE]|-0|\d{16}/.test(text) ? parseLiterally(text) : value);

/** JSON with its numbers as text. The third parameter of a reviver is newer than the type declarations. */
function parseLiterally(text: string): unknown {
  const keep = (_key: string, value: unknown, context?: { source?: string }) => (typeof value === 'number' && context?.source !== undefined ? new NumberLiteral(context.source) : value);
  return JSON.parse(text, keep as (key: string, value: unknown) => unknown);
}

/** The same for a YAML node, whose plain value is at hand; numbers that are not written as in JSON keep their value. */
function literally(yaml: typeof import('yaml'), node: unknown, plain: unknown): unknown {
  const { isMap, isScalar, isSeq } = yaml;
  if (isScalar(node)) return typeof node.value === 'number' && /^-?\d[\d.eE+-]*$/.test(node.source ?? '') ? new NumberLiteral(node.source!) : plain;
  if (isSeq(node)) return node.items.map((item, index) => literally(yaml, item, (plain as unknown[])[index]));
  if (isMap(node)) {
    const entries = node.items.flatMap(({ key, value }): [string, unknown][] => {
      const name = String(isScalar(key) ? key.value : key);
      return isObject(plain) && name in plain ? [[name, literally(yaml, value, plain[name])]] : [];
    });
    return Object.fromEntries(entries);
  }
  return plain;
}

const columnOf = (error: unknown): number => Number(/at position (\d+)/.exec((error as Error).message)?.[1] ?? 0) + 1;
const reasonOf = (error: unknown): string => (error as Error).message.replace(/ in JSON at position.*| at position.*/s, '').replace(/\.$/, '');

function syntaxFault(file: string, place: { line: number; column: number }, message: string, fix: string): { ok: false; error: ReturnType<typeof loadFailure>['error'] } {
  return loadFailure(`${file}:${place.line}:${place.column} is ${message}.`, fix, { key: 'source', at: { file, ...place }, files: [file] });
}

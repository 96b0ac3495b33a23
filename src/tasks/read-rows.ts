/** Rows of a JSON, JSON Lines or YAML file, each with its place, and with numbers as they were written. */
import { extname } from 'node:path';
import { type Loaded, loadFailure } from '../util/load-error.ts';
import { NotAFile, readRegularFile } from '../util/regular-file.ts';
import type { SourceRow } from './rows.ts';
import { NumberLiteral } from './slug.ts';

type Rows = Loaded<'rows', SourceRow[]>;

/** How each kind of file is read, by its ending. */
const readers: Record<string, (text: string, file: string) => Rows | Promise<Rows>> = { '.jsonl': readJsonLines, '.json': readJson, '.yaml': readYaml, '.yml': readYaml };

export const ROW_FILES = Object.keys(readers);

export async function readRows(file: string): Promise<Rows> {
  const reader = readers[extname(file).toLowerCase()]!;
  let text: string;
  try {
    text = await readRegularFile(file);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return loadFailure(code === 'ENOENT' ? `There is no file ${file}.` : error instanceof NotAFile ? `${message}.` : `${file} cannot be read: ${message}.`, 'Correct the path; it is relative to the pipeline file.', { key: 'source', files: [file] });
  }
  try {
    return await reader(text.replace(/^\uFEFF/, ''), file);
  } catch (error) {
    // What the stack cannot hold is no row either; the depth of those that it can is checked with the row.
    if (error instanceof RangeError) return loadFailure(`${file} holds values that are nested too deep to be read.`, 'Write flat rows: { "prompt": "…", "answer": "…" }.', { key: 'source', files: [file] });
    throw error;
  }
}

function readJsonLines(text: string, file: string): Rows {
  const rows: SourceRow[] = [];
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue;
    try {
      const value: unknown = JSON.parse(line);
      rows.push({ value, name: `line ${index + 1}`, literalArgs: () => argsOf(parseLiterally(line)), split: null });
    } catch (error) {
      return syntaxFault(file, { line: index + 1, column: columnOf(error) }, `no JSON value: ${reasonOf(error)}`, 'Write one JSON object per line.');
    }
  }
  return { ok: true, rows };
}

function readJson(text: string, file: string): Rows {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const before = text.slice(0, Number(/at position (\d+)/.exec((error as Error).message)?.[1] ?? 0)).split('\n');
    return syntaxFault(file, { line: before.length, column: before.at(-1)!.length + 1 }, `no JSON: ${reasonOf(error)}`, 'Write an array of objects.');
  }
  const literal = /[.eE]/.test(text) ? parseLiterally(text) : value;
  return listRows(value, literal, file);
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
      literalArgs: () => argsOf((literals as unknown[])[index]),
      split,
    }));
  if (Array.isArray(value)) return { ok: true, rows: rowsOf(value, literal, null) };
  const sides = isObject(value) && Array.isArray(value['train']) && Array.isArray(value['eval']) && Object.keys(value).length === 2;
  if (!sides) return loadFailure(`${file} holds ${isObject(value) ? 'an object' : `a ${typeof value}`}; expected a list of tasks.`, 'Write a list, or an object with the two lists train and eval.', { key: 'source', files: [file] });
  const [both, literals] = [value, literal as Record<string, unknown>];
  return { ok: true, rows: [...rowsOf(both['train'], literals['train'], 'train'), ...rowsOf(both['eval'], literals['eval'], 'eval')] };
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);
const argsOf = (row: unknown): Record<string, unknown> => (isObject(row) && isObject(row['args']) ? row['args'] : {});

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

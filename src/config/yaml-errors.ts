/** @file The YAML parser's errors in sentences that say what to do. */
import type { YAMLError } from 'yaml';
import { diagnose, type Diagnostic } from './diagnostics.ts';
import type { Location, Source } from './source.ts';

/** Own sentences where the parser's are hard to act on. */
const sentences: Partial<Record<YAMLError['code'], { message: string; fix?: string }>> = {
  BAD_INDENT: { message: 'this line is indented differently from the lines it belongs to', fix: 'align it with its neighbours' },
  TAB_AS_INDENT: { message: 'YAML does not allow tabs as indentation', fix: 'use spaces' },
  BLOCK_AS_IMPLICIT_KEY: { message: 'this value cannot begin here', fix: 'break the line if these are two keys; put quotes around a text that holds ": "' },
  MULTILINE_IMPLICIT_KEY: { message: 'a key must stand on one line and be followed by ":"', fix: 'is there a ":" missing?' },
  BAD_SCALAR_START: { message: 'a plain text cannot begin with this character', fix: 'put quotes around the text' },
  BAD_DQ_ESCAPE: { message: 'this backslash sequence is not known in double quotes', fix: 'use single quotes, where backslashes mean themselves' },
  UNEXPECTED_TOKEN: { message: 'this was not expected here' },
  BLOCK_IN_FLOW: { message: 'this map cannot begin inside { } or [ ]', fix: 'is there a "," missing?' },
};

/** What the parser says, at the place where a person would look for it. */
export function describeYamlError(error: YAMLError, source: Source): Diagnostic {
  const [start, end] = error.pos;
  const at: Location = { source, start, end: Math.max(end, start + 1) };
  const text = source.text.slice(start, end);
  switch (error.code) {
    case 'MULTIPLE_DOCS':
      return diagnose('multiple-documents', 'a pipeline file holds one YAML document, and here a second one begins', at, { fix: 'remove the "---", or put it in a file of its own' });
    case 'TAG_RESOLVE_FAILED':
      return diagnose('unknown-tag', `the tag ${text || 'here'} means nothing in a pipeline`, at, { fix: 'remove it' });
    case 'NON_STRING_KEY':
      return diagnose('bad-key', 'the key of a map must be a plain text', at, { fix: inFlowVariable(source, start) });
    case 'BAD_ALIAS':
      return diagnose('unknown-alias', 'this alias has no name', at);
    default:
      return describeSyntaxError(error, at);
  }
}

function describeSyntaxError(error: YAMLError, reported: Location): Diagnostic {
  const at = error.code === 'BAD_INDENT' || error.code === 'MISSING_CHAR' ? atNextWord(reported) : reported;
  const { source, start } = at;
  const quote = /^Missing closing (["'])quote/.exec(error.message)?.[1];
  if (quote !== undefined) return diagnose('yaml-syntax', `a text that begins with ${quote} is not closed`, openQuote(reported, quote), { fix: `add a ${quote} at its end` });
  const bracket = /^Flow (map|sequence) in block collection/.exec(error.message)?.[1];
  if (bracket !== undefined) {
    const [open, close] = bracket === 'map' ? ['{', '}'] : ['[', ']'];
    const opened = source.text.lastIndexOf(open, start);
    return diagnose('yaml-syntax', `a ${open} is not closed before the next line begins`, opened < 0 ? at : { source, start: opened, end: opened + 1 }, { fix: `add the ${close}` });
  }
  if (error.message.startsWith('Sequence item without - indicator')) {
    return diagnose('yaml-syntax', 'this line is indented like the list around it, and begins no entry of it', at, { fix: 'align it, or begin it with "- "' });
  }
  const deeper = deeperLine(at);
  if (error.code === 'BLOCK_AS_IMPLICIT_KEY' && deeper !== null) {
    return diagnose('yaml-syntax', 'this line is indented deeper than the one above it, which has a value already', deeper, { fix: 'align it with its neighbours' });
  }
  const sentence = sentences[error.code];
  const words = error.message.replace(/\.$/, '');
  const message = sentence?.message ?? words.charAt(0).toLowerCase() + words.slice(1);
  return diagnose('yaml-syntax', message, at, { fix: inFlowVariable(source, start) ?? sentence?.fix });
}

/** The parser points at the space before what it stumbled over. */
function atNextWord({ source, start, end }: Location): Location {
  const word = start + (/^\s*/.exec(source.text.slice(start))?.[0].length ?? 0);
  return word >= source.text.length ? { source, start, end } : { source, start: word, end: Math.max(end, word + 1) };
}

/** Where the text began: the last quote of the first line that has an odd number of them. The parser only knows where it gave up. */
function openQuote(at: Location, quote: string): Location {
  let offset = 0;
  for (const line of at.source.text.slice(0, at.end).split('\n')) {
    if ((line.split(quote).length - 1) % 2 === 1) {
      const start = offset + line.lastIndexOf(quote);
      return { source: at.source, start, end: start + 1 };
    }
    offset += line.length + 1;
  }
  return at;
}

/** The next line, if it is indented deeper than this one, which already is `key: value`. */
function deeperLine({ source, start }: Location): Location | null {
  const lineStart = source.text.lastIndexOf('\n', start - 1) + 1;
  const lineEnd = source.text.indexOf('\n', start);
  if (lineEnd === -1 || /:\s/.test(source.text.slice(start, lineEnd))) return null;
  const next = source.text.slice(lineEnd + 1).split('\n', 1)[0] ?? '';
  const indentOf = (line: string): number => /^ */.exec(line)?.[0].length ?? 0;
  if (next.trim() === '' || indentOf(next) <= indentOf(source.text.slice(lineStart, lineEnd))) return null;
  return { source, start: lineEnd + 1 + indentOf(next), end: lineEnd + 1 + next.length };
}

/** `{ a: ${env:X} }` is a map in a map for YAML; the error it then reports helps nobody. */
function inFlowVariable(source: Source, offset: number): string | null {
  const lineStart = source.text.lastIndexOf('\n', offset - 1) + 1;
  const line = source.text.slice(lineStart).split('\n', 1)[0] ?? '';
  return /[{,[][^"']*\$\{/.test(line) ? 'inside { } and [ ] put quotes around it: "${env:NAME}"' : null;
}

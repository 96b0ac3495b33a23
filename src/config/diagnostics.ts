/** @file What is wrong with a configuration, where, and what to do: as values, and as text with a code frame. */
import stringWidth from 'string-width';
import { count } from '../util/words.ts';
import { compareLocations, describeLocation, positionOf, type Location } from './source.ts';

export type Severity = 'error' | 'warning';

/** Every diagnostic there is. An error stops the run before anything loads; a warning is about configuration that does nothing or misleads. */
export const diagnosticCodes = {
  // The files themselves
  'file-not-found': { severity: 'error', meaning: 'a file that is named does not exist' },
  'file-unreadable': { severity: 'error', meaning: 'a file cannot be read, or is not text' },
  'file-too-large': { severity: 'error', meaning: 'a pipeline file is larger than 1 MB' },
  'empty-file': { severity: 'error', meaning: 'a pipeline file holds nothing' },
  'extends-cycle': { severity: 'error', meaning: 'a file extends itself, directly or through others' },
  'extends-too-deep': { severity: 'error', meaning: 'more files extend each other than a person could follow' },
  // YAML
  'yaml-syntax': { severity: 'error', meaning: 'the file is not valid YAML' },
  'duplicate-key': { severity: 'error', meaning: 'a key is written twice in one map' },
  'multiple-documents': { severity: 'error', meaning: 'a file holds more than one YAML document' },
  'unknown-alias': { severity: 'error', meaning: 'an alias names no anchor above it' },
  'bad-merge': { severity: 'error', meaning: '`<<` merges something that is not a map' },
  'unknown-tag': { severity: 'error', meaning: 'a YAML tag that means nothing here' },
  'bad-key': { severity: 'error', meaning: 'a map key that is not a plain text' },
  'too-deep': { severity: 'error', meaning: 'maps and lists are nested too deeply' },
  'too-many-values': { severity: 'error', meaning: 'aliases or lists expand to an unreasonable number of values' },
  // ${env:NAME} and --set
  'unknown-variable': { severity: 'error', meaning: 'an environment variable is not set and has no default' },
  'bad-variable': { severity: 'error', meaning: '`${…}` that is not `${env:NAME}`' },
  'bad-set': { severity: 'error', meaning: 'a `--set` argument that is not `path=value`' },
  // The schema
  'unknown-key': { severity: 'error', meaning: 'a key that does not exist here' },
  'missing-key': { severity: 'error', meaning: 'a key that is needed' },
  'wrong-type': { severity: 'error', meaning: 'a value of the wrong type' },
  'unknown-value': { severity: 'error', meaning: 'a value that is none of the allowed ones' },
  'out-of-range': { severity: 'error', meaning: 'a number outside its bounds' },
  'wrong-form': { severity: 'error', meaning: 'a text that does not have the form it needs' },
  'wrong-length': { severity: 'error', meaning: 'a list or text that is too short or too long' },
  'repeated-item': { severity: 'error', meaning: 'a list that names something twice' },
  // Settings that contradict each other
  'context-too-small': { severity: 'error', meaning: '`agent.max_tokens` does not fit into the context of the model' },
  'group-too-small': { severity: 'error', meaning: 'a group of one rollout has nothing to compare' },
  'greedy-training': { severity: 'error', meaning: 'training rollouts sampled at temperature 0 are all equal' },
  'tools-without-chat': { severity: 'error', meaning: 'tools are told to the model by a chat template, and the agent does not chat' },
  'tools-without-source': { severity: 'error', meaning: 'an MCP server has neither a command nor an address' },
  'greedy-samples': { severity: 'error', meaning: 'sampled attempts at temperature 0 are all equal' },
  'truncated-sampling': { severity: 'error', meaning: '`top_p` or `top_k` while training biases the probability ratios' },
  'loss-conflict': { severity: 'error', meaning: 'fields of the loss that exclude each other' },
  'timeout-order': { severity: 'error', meaning: 'a part may take longer than the whole' },
  'weights-not-positive': { severity: 'error', meaning: 'no reward has a positive weight, so nothing is rewarded' },
  'unearnable-reward': { severity: 'error', meaning: 'a reward that no answer can earn' },
  'repeated-name': { severity: 'error', meaning: 'two rewards or stages have the same name' },
  'bounds-reversed': { severity: 'error', meaning: 'a lower bound above its upper bound' },
  'bad-pattern': { severity: 'error', meaning: 'a regular expression that does not compile' },
  'bad-target': { severity: 'error', meaning: 'a LoRA target that cannot name a layer' },
  'no-held-out': { severity: 'error', meaning: 'something needs a held-out score that is never taken' },
  'metric-not-measured': { severity: 'error', meaning: 'a promotion metric that the evaluation does not produce' },
  'own-source': { severity: 'error', meaning: 'a model that is forked from itself' },
  'export-mismatch': { severity: 'error', meaning: 'an export that cannot be made from this model' },
  // What a taskset, a reward or a runtime says when it is loaded
  'unsuited-tasks': { severity: 'warning', meaning: 'tasks that the model cannot read, or cannot answer in so many tokens; a chat template that does not tell it that it is its turn' },
  'not-loaded': { severity: 'error', meaning: 'a taskset, a grader or an export that refuses its settings or its file' },
  // Configuration without effect, or not what its name says
  'no-effect': { severity: 'warning', meaning: 'a setting that changes nothing as the others stand' },
  'not-as-named': { severity: 'warning', meaning: 'an algorithm whose defining part is overridden' },
  'repeated-tasks': { severity: 'warning', meaning: 'a batch that is larger than the training split' },
  'off-policy': { severity: 'warning', meaning: 'several updates per batch under a loss without clipping' },
} as const satisfies Record<string, { severity: Severity; meaning: string }>;

export type DiagnosticCode = keyof typeof diagnosticCodes;

/** Another place that belongs to the problem: the other half of a contradiction, the first of two equal keys. */
export interface Related {
  readonly message: string;
  readonly at: Location;
}

export interface Diagnostic {
  readonly code: DiagnosticCode;
  readonly severity: Severity;
  /** What is wrong, in one sentence, without a full stop. */
  readonly message: string;
  readonly at: Location;
  /** What to do; stands behind the caret. */
  readonly fix: string | null;
  readonly related: readonly Related[];
}

export interface DiagnosticOptions {
  fix?: string | null | undefined;
  related?: readonly Related[];
}

export function diagnose(code: DiagnosticCode, message: string, at: Location, options: DiagnosticOptions = {}): Diagnostic {
  // Keys and values in a message are the user's, who may have sent us a megabyte of them.
  return { code, severity: diagnosticCodes[code].severity, message: message.length > 500 ? `${message.slice(0, 500).toWellFormed()}…` : message, at, fix: options.fix ?? null, related: options.related ?? [] };
}

/** In reading order, each problem once: one mistake may break several schema rules at the same place. `files`: their order. */
export function sortDiagnostics(diagnostics: readonly Diagnostic[], files: readonly string[]): Diagnostic[] {
  const sorted = [...diagnostics].sort((a, b) => compareLocations(a.at, b.at, files) || (a.code < b.code ? -1 : a.code > b.code ? 1 : 0));
  const seen = new Set<string>();
  return sorted.filter((d) => {
    const identity = `${d.at.source.name}\0${d.at.start}\0${d.code}\0${d.message}`;
    return !seen.has(identity) && seen.add(identity);
  });
}

export type Style = 'error' | 'warning' | 'place' | 'line-number' | 'caret' | 'note';
export interface PrintOptions {
  /** Colours a piece of text; the default leaves it plain. */
  style?: (style: Style, text: string) => string;
  /** Columns that a line of source may take. */
  width?: number;
}

/** Diagnostics as a person reads them, at most `limit`, with a closing count. Ends without a newline. */
export function formatDiagnostics(diagnostics: readonly Diagnostic[], options: PrintOptions & { limit?: number } = {}): string {
  const limit = options.limit ?? 20;
  const shown = diagnostics.slice(0, limit).map((d) => formatDiagnostic(d, options));
  const hidden = diagnostics.length - shown.length;
  if (hidden > 0) shown.push(`… and ${hidden} more`);
  const counts = (['error', 'warning'] as const).flatMap((severity) => {
    const found = diagnostics.filter((d) => d.severity === severity).length;
    return found > 0 ? [count(found, severity)] : [];
  });
  return [...shown, counts.join(', ')].join('\n\n');
}

/**
 * ```
 * error[unknown-key]: unknown key "learnin_rate"
 *   --> pipelines/arith.yaml:21:12
 * 20 | steps: 60
 * 21 | train:   { learnin_rate: 3e-4, loss: importance_sampling }
 *    |            ^^^^^^^^^^^^ did you mean "learning_rate"?
 * ```
 */
export function formatDiagnostic(diagnostic: Diagnostic, options: PrintOptions = {}): string {
  const style = options.style ?? ((_: Style, text: string) => text);
  const width = options.width ?? 120;
  const lines = [
    `${style(diagnostic.severity, `${diagnostic.severity}[${diagnostic.code}]`)}: ${visible(diagnostic.message)}`,
    ...frame({ at: diagnostic.at, caption: diagnostic.fix, style, width }),
  ];
  for (const related of diagnostic.related) {
    lines.push(`${style('note', 'note')}: ${visible(related.message)}`, ...frame({ at: related.at, caption: null, style, width }));
  }
  return lines.join('\n');
}

interface FrameOptions {
  at: Location;
  caption: string | null;
  style: (style: Style, text: string) => string;
  width: number;
}

function frame({ at, caption, style, width }: FrameOptions): string[] {
  const place = `  ${style('place', '-->')} ${visible(describeLocation(at))}`;
  const text = at.source.text;
  if (text === '') return caption === null ? [place] : [place, `   ${visible(caption)}`];
  const { line, column } = positionOf(at);
  const lineText = text.slice(at.start - column + 1).split(/\r?\n/, 1)[0] ?? '';
  const from = Math.min(column - 1, lineText.length);
  const length = Math.max(1, Math.min(at.end - at.start, lineText.trimEnd().length - from));
  const gutter = at.source.kind === 'set' ? 0 : String(line).length;
  const room = Math.max(20, width - gutter - 3);
  const { shown, indent, caret } = clip({ lineText, from, length, width: room });
  const numbered = (n: number | null, content: string) =>
    `${style('line-number', gutter === 0 ? ' |' : `${(n === null ? '' : String(n)).padStart(gutter)} |`)}${content === '' ? '' : ` ${content}`}`;
  const lines = [place];
  const previous = line > 1 ? (text.slice(0, at.start - column).split('\n').at(-1) ?? '').replace(/\r$/, '') : '';
  if (previous.trim() !== '') lines.push(numbered(line - 1, truncate(visible(previous), room)));
  lines.push(numbered(line, shown));
  const mark = style('caret', '^'.repeat(caret));
  lines.push(numbered(null, `${' '.repeat(indent)}${mark}${caption === null ? '' : ` ${style('caret', visible(caption))}`}`));
  return lines;
}

/** Cuts a long line to a window around the marked part, and measures in columns of the terminal. */
function clip({ lineText, from, length, width }: { lineText: string; from: number; length: number; width: number }) {
  const marked = visible(lineText.slice(from, from + length));
  let before = visible(lineText.slice(0, from));
  if (stringWidth(before) + Math.min(stringWidth(marked), 20) > width) before = `…${before.slice(-Math.floor(width / 3)).toWellFormed()}`;
  const shown = truncate(before + marked + visible(lineText.slice(from + length)), width);
  const indent = stringWidth(before);
  return { shown, indent, caret: Math.max(1, Math.min(stringWidth(marked), width - indent)) };
}

function truncate(text: string, width: number): string {
  if (text.length <= width && stringWidth(text) <= width) return text;
  let [end, columns] = [0, 0];
  for (const { segment } of new Intl.Segmenter().segment(text.slice(0, width * 4))) {
    columns += stringWidth(segment);
    if (columns > width - 1) break;
    end += segment.length;
  }
  return `${text.slice(0, end)}…`;
}

/** A file is not to move the cursor of the person who reads about it: tabs become spaces, control characters a sign. */
function visible(text: string): string {
  return text.replaceAll('\t', '  ').replace(/[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu, '\u{FFFD}');
}

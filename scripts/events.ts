/** @file The parts of docs/json.md that follow from src/events.ts: every event with its fields, and the types that these are made of. */
import { liveEvents } from '../src/events.ts';

const EVENTS = 'EventData';
/** Not part of an event, but lines of a job's files. */
const LINES = ['MetricsRow', 'Rollout'];

/** Replaces what stands between `<!-- NAME: … -->` and `<!-- end -->` in a page. */
export function withEvents(page: string, source: string): string {
  return fill(fill(page, 'events', eventList(source)), 'types', typeList(source));
}

function fill(page: string, name: string, text: string): string {
  const begin = new RegExp(`<!-- ${name}:[^\n]*-->\n`).exec(page);
  const end = begin ? page.indexOf('<!-- end -->', begin.index) : -1;
  if (!begin || end === -1) throw new Error(`docs/json.md has no place for the ${name}: <!-- ${name}: … --> and then <!-- end -->`);
  return `${page.slice(0, begin.index + begin[0].length)}\n${text}\n${page.slice(end)}`;
}

/** One line per event: its type, when it happens, its fields as TypeScript. */
function eventList(source: string): string {
  const body = declarations(source).find(({ names }) => names.includes(EVENTS))!.text;
  const events = [...body.matchAll(/^((?: {2}\/\*\*.*\*\/\n)?) {2}'?([a-z-]+)'?: (\{.*\}|\{[\s\S]*?\n {2}\});$/gm)];
  const keys = body.match(/^ {2}'?[a-z-]+'?:/gm) ?? [];
  if (events.length !== keys.length) throw new Error(`${EVENTS} has ${keys.length} events, of which ${events.length} are written as scripts/events.ts reads them`);
  return events
    .map(([, comment = '', type = '', fields = '']) => `- \`${type}\`${liveEvents.has(type as never) ? ' (live)' : ''}: ${sentence(comment)}\`${inOneLine(fields)}\`\n`)
    .join('');
}

const sentence = (comment: string): string => comment.replace(/^\s*\/\*\*\s*|\s*\*\/\s*$/g, '').replace(/([^.])$/, '$1.').replace(/$/, comment ? ' ' : '');

/** Fields without their comments. */
const inOneLine = (fields: string): string => fields.replaceAll(/\/\*\*.*?\*\/\s*/g, '').replaceAll(/\s+/g, ' ').replace(/; \}$/, ' }');

/** The types that events and lines mention, as they are declared. */
function typeList(source: string): string {
  const all = declarations(source);
  const needed = new Set([EVENTS, ...LINES]);
  for (const name of needed) {
    const text = all.find(({ names }) => names.includes(name))!.text;
    for (const { names } of all) for (const other of names) if (new RegExp(`\\b${other}\\b`).test(text)) needed.add(other);
  }
  const shown = all.filter(({ names }) => !names.includes(EVENTS) && names.some((name) => needed.has(name)));
  return `\`\`\`ts\n${shown.map(({ text }) => text.replaceAll(/^export /gm, '')).join('\n\n')}\n\`\`\`\n`;
}

/** Declarations, apart at blank lines, with the comments above them. */
const declarations = (source: string): { names: string[]; text: string }[] =>
  source
    .trimEnd()
    .split(/\n\n+/)
    .map((text) => ({ text, names: [...text.matchAll(/^export (?:interface|type) (\w+)/gm)].map(([, name]) => name!) }))
    .filter(({ names }) => names.length > 0);

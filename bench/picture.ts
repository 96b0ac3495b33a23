/**
 * Draws the dashboard of a recorded job as an SVG picture, through the real dashboard and a terminal emulator.
 *
 *   rlrun pipelines/arith.yaml --json > events.jsonl
 *   node bench/picture.ts events.jsonl docs/dashboard.svg [--step 37] [--columns 120] [--rows 40] [--keys 2]
 *
 * Blocks, lines and braille are drawn as shapes, so that the picture looks the same whatever fonts its viewer has.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { parseArgs } from 'node:util';
import type { IBufferCell, Terminal } from '@xterm/headless';
import type { JobControls, JobEvent } from '../src/events.ts';
import { escapeXml, svgNumber } from '../src/plot/index.ts';
import { createTheme, startDashboard } from '../src/tui/index.ts';
import { fakeTerminal } from '../test/tui/terminal.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    step: { type: 'string' },
    columns: { type: 'string', default: '120' },
    rows: { type: 'string', default: '40' },
    keys: { type: 'string', default: '' },
    memory: { type: 'string' },
  },
});
const [input, outputFile] = positionals;
if (!input || !outputFile) throw new Error('usage: node bench/picture.ts EVENTS.jsonl OUT.svg [--step N] [--columns C] [--rows R] [--keys K]');

const events = readFileSync(input, 'utf8').split('\n').filter(Boolean).map((line) => JSON.parse(line) as JobEvent);
const lastStep = events.reduce((last, event) => (event.type === 'step-finished' ? Math.max(last, event.step) : last), 0);
const shownStep = Number(values.step ?? Math.ceil(lastStep * 0.62));

/** Up to the moment in which two thirds of the chosen step's rollouts have their reward. */
function untilPicture(): JobEvent[] {
  const total = events.filter((event) => event.type === 'rollout-finished' && event.step === shownStep).length;
  let seen = 0;
  const end = events.findIndex((event) => event.type === 'rollout-finished' && event.step === shownStep && ++seen >= total * 0.67);
  return end === -1 ? events : events.slice(0, end + 1);
}

const CELL = { width: 8.4, height: 18 };
const PADDING = 18;
const TITLE_BAR = 34;
const COLORS = { background: '#0d1117', text: '#d6dde6', dim: '#6e7681', frame: '#30363d', bar: '#161b22' };

function picture(terminal: Terminal): string {
  const width = terminal.cols * CELL.width + 2 * PADDING;
  const height = (terminal.rows - 1) * CELL.height + PADDING + TITLE_BAR + 8;
  const rows = Array.from({ length: terminal.rows - 1 }, (_, row) => drawRow(terminal, row)).join('\n');
  const lights = ['#ff5f57', '#febc2e', '#28c840'].map((color, index) => `<circle cx="${20 + index * 18}" cy="17" r="5.5" fill="${color}"/>`).join('');
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${svgNumber(width)} ${svgNumber(height)}" font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace" font-size="14" role="img" aria-label="The rlrun dashboard in a terminal">
<rect width="100%" height="100%" rx="10" fill="${COLORS.background}" stroke="${COLORS.frame}"/>
<path d="M0 10a10 10 0 0 1 10 -10H${svgNumber(width - 10)}a10 10 0 0 1 10 10V${TITLE_BAR}H0Z" fill="${COLORS.bar}"/>${lights}
<g transform="translate(${PADDING} ${TITLE_BAR + 8})">
${rows}
</g>
</svg>
`;
}

interface Look {
  color: string;
  bold: boolean;
  opacity: number;
}

/** Runs of one look become one element; shapes go into one path per colour. */
function drawRow(terminal: Terminal, row: number): string {
  const line = terminal.buffer.active.getLine(terminal.buffer.active.viewportY + row);
  if (!line) return '';
  const y = row * CELL.height;
  const out: string[] = [];
  let text: { start: number; chars: string; look: Look } | null = null;
  let shape: { path: string; look: Look } | null = null;
  const same = (a: Look, b: Look): boolean => a.color === b.color && a.bold === b.bold && a.opacity === b.opacity;
  const endText = (): void => {
    if (text && text.chars.trim() !== '') {
      const chars = text.chars.trimEnd();
      const weight = text.look.bold ? ' font-weight="bold"' : '';
      const opacity = text.look.opacity < 1 ? ` opacity="${text.look.opacity}"` : '';
      out.push(
        `<text x="${svgNumber(text.start * CELL.width)}" y="${svgNumber(y + 13)}" fill="${text.look.color}"${weight}${opacity} textLength="${svgNumber([...chars].length * CELL.width)}" xml:space="preserve">${escapeXml(chars)}</text>`,
      );
    }
    text = null;
  };
  const endShape = (): void => {
    if (shape) out.push(`<path fill="${shape.look.color}"${shape.look.opacity < 1 ? ` opacity="${svgNumber(shape.look.opacity)}"` : ''} d="${shape.path}"/>`);
    shape = null;
  };
  for (let column = 0; column < terminal.cols; column++) {
    const cell = line.getCell(column);
    if (!cell || cell.getWidth() === 0) continue;
    const look = lookOf(cell);
    const char = cell.getChars() || ' ';
    if (cell.isInverse()) {
      endText();
      endShape();
      out.push(rect(column * CELL.width, y, CELL.width + 0.2, CELL.height, look.color));
      look.color = COLORS.background;
    }
    const path = shapeOf(char, column * CELL.width, y);
    if (path !== null) {
      endText();
      const shaded = { ...look, opacity: look.opacity * (shades[char] ?? 1) };
      if (shape && !same(shape.look, shaded)) endShape();
      shape ??= { path: '', look: shaded };
      shape.path += path;
      continue;
    }
    endShape();
    if (text && (!same(text.look, look) || text.start + [...text.chars].length !== column)) endText();
    text ??= { start: column, chars: '', look };
    text.chars += char;
  }
  endText();
  endShape();
  return out.join('');
}

function lookOf(cell: IBufferCell): Look {
  const color = cell.isFgRGB() ? `#${cell.getFgColor().toString(16).padStart(6, '0')}` : COLORS.text;
  return { color, bold: Boolean(cell.isBold()), opacity: cell.isDim() ? 0.55 : 1 };
}

const rect = (x: number, y: number, width: number, height: number, color: string): string =>
  `<rect x="${svgNumber(x)}" y="${svgNumber(y)}" width="${svgNumber(width)}" height="${svgNumber(height)}" fill="${color}"/>`;
const box = (x: number, y: number, width: number, height: number): string => `M${svgNumber(x)} ${svgNumber(y)}h${svgNumber(width)}v${svgNumber(height)}h${svgNumber(-width)}z`;
const dot = (x: number, y: number, r: number): string => `M${svgNumber(x - r)} ${svgNumber(y)}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0z`;

/** The shading characters are drawn as full cells of less strength. */
const shades: Readonly<Record<string, number>> = { '▓': 0.85, '▒': 0.7, '░': 0.5 };

/** Outline of a braille, block or line character; null for what is a letter. */
function shapeOf(char: string, x: number, y: number): string | null {
  const { width, height } = CELL;
  const code = char.codePointAt(0)!;
  if (code > 0x2800 && code <= 0x28ff) {
    const bits = code - 0x2800;
    const places = [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2], [0, 3], [1, 3]] as const;
    return places.map(([column, row], bit) => (bits & (1 << bit) ? dot(x + width * (0.27 + 0.48 * column), y + height * (0.125 + 0.25 * row), 1.25) : '')).join('');
  }
  if (code >= 0x2581 && code <= 0x2588) {
    const tall = (height * (code - 0x2580)) / 8;
    return box(x, y + height - tall, width + 0.1, tall);
  }
  if (code >= 0x2589 && code <= 0x258f) return box(x, y + 2.5, (width * (0x2590 - code)) / 8, height - 5);
  if (char in shades || char === '▚') return box(x, y + 2, width + 0.1, height - 4);
  const middle = y + height / 2;
  const side = width - 1.6;
  const square = (size: number): string => box(x + (width - size) / 2, middle - size / 2, size, size);
  const hole = (size: number): string => {
    const [left, top] = [x + (width - size) / 2, middle - size / 2];
    return `M${svgNumber(left)} ${svgNumber(top)}v${svgNumber(size)}h${svgNumber(size)}v${svgNumber(-size)}z`;
  };
  const squares: Readonly<Record<string, string>> = { '■': square(side), '▣': square(side) + hole(side - 2) + square(side - 3.4), '□': square(side) + hole(side - 2), '▪': square(side - 3) };
  if (char in squares) return squares[char]!;
  const lines: Readonly<Record<string, string>> = {
    '─': box(x, middle - 0.5, width + 0.1, 1),
    '━': box(x, middle - 1.2, width + 0.1, 2.4),
    '╸': box(x, middle - 1.2, width / 2, 2.4),
    '╌': box(x + 0.6, middle - 0.5, 2.6, 1) + box(x + width / 2 + 0.6, middle - 0.5, 2.6, 1),
    '│': box(x + width / 2 - 0.5, y, 1, height),
    '┤': box(x + width / 2 - 0.5, y, 1, height) + box(x, middle - 0.5, width / 2, 1),
    '└': box(x + width / 2 - 0.5, y, 1, height / 2) + box(x + width / 2 - 0.5, middle - 0.5, width / 2 + 0.6, 1),
    '╯': box(x + width / 2 - 0.5, y, 1, height / 2) + box(x, middle - 0.5, width / 2 + 0.5, 1),
  };
  return lines[char] ?? null;
}

const fake = fakeTerminal({ columns: Number(values.columns), rows: Number(values.rows) });
const shown = untilPicture();
const now = shown.at(-1)!.time;
const dashboard = await startDashboard({
  events: (listener) => {
    for (const event of shown) listener(event);
    return () => {};
  },
  controls: {} as JobControls,
  stdout: fake.stdout,
  stdin: fake.stdin,
  theme: createTheme({ depth: 24, ascii: false }),
  now: () => now,
  memory: () => (values.memory === undefined ? null : Number(values.memory)),
});
for (const key of values.keys) {
  fake.press(key);
  await dashboard.flushed();
}
await dashboard.flushed();
mkdirSync(dirname(outputFile), { recursive: true });
writeFileSync(outputFile, picture(fake.terminal));
dashboard.unmount();
await dashboard.waitUntilExit();

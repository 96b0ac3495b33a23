/** @file What a terminal can show: colours by depth, glyphs by character set. */
import { palette, rewardRamp } from '../plot/index.ts';

/** Each tone: its colour, and the nearest of the sixteen basic ones as an SGR code for terminals that know no others. */
const tones = {
  plain: [null, 39],
  muted: [palette.grey, 90],
  accent: [palette.blue, 96],
  ok: [palette.green, 32],
  warn: [palette.orange, 33],
  bad: [palette.vermilion, 91],
  reward: [palette.blue, 96],
  band: ['#4d7fa3', 34],
  eval: [palette.orange, 33],
  baseline: [palette.purple, 35],
  previous: ['#6e7681', 90],
  reward0: [rewardRamp[0], 35],
  reward1: [rewardRamp[1], 34],
  reward2: [rewardRamp[2], 36],
  reward3: [rewardRamp[3], 32],
  reward4: [rewardRamp[4], 92],
  reward5: [rewardRamp[5], 93],
  rollout: [palette.blue, 96],
  grading: [palette.yellow, 93],
  step: [palette.green, 32],
  promote: [palette.purple, 35],
} as const satisfies Record<string, readonly [hex: string | null, basic: number]>;

export type Tone = keyof typeof tones;

export interface Style {
  tone?: Tone;
  bold?: boolean;
  dim?: boolean;
  inverse?: boolean;
}

const glyphs = {
  unicode: {
    rule: '─', axis: '└', yAxis: '│', tick: '┤', promoted: '━', held: '╌', skipped: '·', rolledBack: '↺', evaluation: '◆', best: '★',
    ok: '●', warn: '▲', bad: '■', up: '↗', down: '↘', level: '→', select: '▸', pending: '·', failed: '×', none: '□', little: '▪', much: '▣', full: '■', ellipsis: '…', arrow: '→',
    progress: '━', progressHead: '╸', progressRest: '─', node: '●', pruned: '○', head: '◉', lane: '│', join: '╯', branch: '─', rise: '▲', fall: '▼', even: '·',
    plusMinus: '±', times: '×', dot: '·', newline: '⏎', running: '●', paused: '‖', done: '✔', column: '│', band: '⢕',
    phases: { rollout: '█', reward: '▓', step: '▒', promote: '░', eval: '▚' },
  },
  ascii: {
    rule: '-', axis: '+', yAxis: '|', tick: '+', promoted: '=', held: '-', skipped: '.', rolledBack: '<', evaluation: 'o', best: '*',
    ok: 'o', warn: '!', bad: 'X', up: '/', down: '\\', level: '-', select: '>', pending: '.', failed: 'x', none: '_', little: '-', much: '+', full: '#', ellipsis: '~', arrow: '->',
    progress: '=', progressHead: '>', progressRest: '-', node: 'o', pruned: '.', head: '@', lane: '|', join: '\'', branch: '-', rise: '+', fall: '-', even: ' ',
    plusMinus: '+-', times: 'x', dot: '-', newline: '\\n', running: '*', paused: '=', done: '+', column: '|', band: ':',
    phases: { rollout: '#', reward: '=', step: '+', promote: ':', eval: '%' },
  },
} as const;

export type Glyphs = { readonly [K in keyof (typeof glyphs)['unicode']]: K extends 'phases' ? Readonly<Record<keyof (typeof glyphs)['unicode']['phases'], string>> : string };

/** 1: no colour (bold and dim stay); 4: sixteen; 8: 256; 24: all of them. */
export type ColorDepth = 1 | 4 | 8 | 24;

export interface Theme {
  depth: ColorDepth;
  ascii: boolean;
  glyph: Glyphs;
}

export const createTheme = ({ depth, ascii }: { depth: ColorDepth; ascii: boolean }): Theme => ({ depth, ascii, glyph: ascii ? glyphs.ascii : glyphs.unicode });

/** Asks the terminal and its environment: NO_COLOR, FORCE_COLOR, TERM and COLORTERM as Node reads them; UTF-8 by the locale. */
export function detectTheme(stdout: { getColorDepth?: (env?: object) => number }, env: NodeJS.ProcessEnv, platform: NodeJS.Platform): Theme {
  const depth = env['NO_COLOR'] ? 1 : ((stdout.getColorDepth?.(env) ?? 1) as ColorDepth);
  const locale = env['LC_ALL'] || env['LC_CTYPE'] || env['LANG'] || '';
  const utf8 = /utf-?8/i.test(locale) || (locale === '' && (platform === 'win32' || platform === 'darwin'));
  return createTheme({ depth, ascii: !utf8 || env['TERM'] === 'linux' });
}

/** The escape sequence that begins a style; empty when the style changes nothing. */
export function sgr({ tone = 'plain', bold, dim, inverse }: Style, depth: ColorDepth): string {
  const codes: (number | string)[] = [];
  if (bold) codes.push(1);
  if (dim) codes.push(2);
  if (inverse) codes.push(7);
  const [hex, basic] = tones[tone];
  if (hex !== null && depth > 1) codes.push(depth === 24 ? `38;2;${rgb(hex).join(';')}` : depth === 8 ? `38;5;${nearest256(rgb(hex))}` : basic);
  return codes.length === 0 ? '' : `\u001b[${codes.join(';')}m`;
}

function rgb(hex: string): [red: number, green: number, blue: number] {
  const value = Number.parseInt(hex.slice(1), 16);
  return [value >> 16, (value >> 8) & 255, value & 255];
}

/** The closest entry of the 6×6×6 cube (16–231). */
function nearest256(color: readonly [number, number, number]): number {
  const levels = [0, 95, 135, 175, 215, 255];
  const [r, g, b] = color.map((part) => levels.reduce((best, level, index) => (Math.abs(level - part) < Math.abs(levels[best]! - part) ? index : best), 0));
  return 16 + 36 * r! + 6 * g! + b!;
}

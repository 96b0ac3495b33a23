import { fitBlock, heading, span, type Line, type Size } from '../line.ts';
import type { Model } from '../model.ts';
import { keyBindings, keyName, views } from '../ui.ts';

/** Every key, and what the signs mean. */
export function help({ theme }: Model, { width, height }: Size): Line[] {
  const { glyph } = theme;
  const row = (keys: string, text: string): Line => [span(` ${keys.padEnd(16)}`, 'accent', { bold: true }), span(text)];
  const keys = [
    row(`1 ${glyph.ellipsis} ${views.length}`, views.join(', ')),
    ...keyBindings.filter((binding) => binding.help !== '').map(({ keys: bound, help: text, views: where }) => row(bound.slice(0, 4).map((key) => keyName(key, theme)).join(' '), `${text}${where ? ` (view ${where.map((view) => views.indexOf(view) + 1).join(', ')})` : ''}`)),
  ];
  const signs: Line[] = [
    [span(` ${glyph.ok} `, 'ok'), span('healthy  '), span(`${glyph.warn} `, 'warn'), span('leaving its range  '), span(`${glyph.bad} `, 'bad'), span('out of range')],
    [span(` ${glyph.promoted}${glyph.promoted} `, 'ok'), span('promoted  '), span(`${glyph.held} `, 'warn'), span('held back  '), span(`${glyph.rolledBack} `, 'bad'), span('rolled back  '), span(`${glyph.skipped} `, 'muted'), span('nothing learnt')],
    [span(` ${glyph.evaluation} `, 'eval'), span('held-out  '), span(`${glyph.best} `, 'eval'), span('best  '), span(`${glyph.held}${glyph.held} `, 'baseline'), span('before learning  '), span(`${glyph.band} `, 'band'), span('spread in a group')],
    [span(` ${glyph.none} ${glyph.little} ${glyph.much} ${glyph.full} `, 'reward4'), span('reward from low to full  '), span(`${glyph.failed} `, 'bad'), span('no verdict  '), span(`${glyph.rise} ${glyph.fall} `, 'muted'), span('the step pushes towards, away')],
  ];
  return fitBlock([heading([span('keys', 'plain', { bold: true }), span(' any key closes this', 'muted')], width, theme), ...keys, heading([span('signs', 'plain', { bold: true })], width, theme), ...signs], { width, height }, glyph.ellipsis);
}

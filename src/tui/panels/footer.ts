import { clean, fit, lineWidth, span, spread, wholeParts, type Line } from '../line.ts';
import type { Model } from '../model.ts';
import { keyBindings, keyName, type KeyBinding } from '../ui.ts';

/** The open question, or the keys that mean something here; what was asked for stands on the left until it happens. */
export function footer({ state, ui, theme }: Model, width: number): Line {
  if (ui.confirm) {
    const question = ` Roll back to ${clean(ui.confirm.name, theme)} before the next step? `;
    return fit([span(question, 'warn', { bold: true, inverse: true }), span(' y', 'plain', { bold: true }), span(' yes  '), span('n', 'plain', { bold: true }), span(' no')], width, theme.glyph.ellipsis);
  }
  if (ui.refusal) return fit([span(` ${clean(ui.refusal, theme)} `, 'warn', { inverse: true })], width, theme.glyph.ellipsis);
  const { pause, evaluate, checkpoint, rollback } = state.requests;
  const asked = [pause && 'pause', evaluate && 'evaluate', checkpoint && 'save', rollback && 'roll back'].filter((word) => typeof word === 'string');
  const pending: Line = asked.length > 0 ? [span(` ${asked.join(', ')} after this step `, 'warn', { inverse: true }), span(' ')] : [span(' ')];
  const write = (binding: KeyBinding): Line => {
    const label = binding.keys[0] === 'p' && (state.state === 'paused' || pause) ? 'go on' : binding.keys[0] === 'w' && state.watch.on ? 'stop watch' : binding.label;
    return [span(keyName(binding.keys[0]!, theme), 'accent', { bold: true }), span(` ${label}  `, 'muted')];
  };
  const shown = keyBindings.filter(({ label, views }) => label !== '' && (views?.includes(ui.view) ?? true));
  // The way out is always in sight; what belongs to this view comes first.
  const isExit = ({ keys }: KeyBinding): boolean => keys[0] === 'q' || keys[0] === '?';
  const right = shown.filter(isExit).flatMap(write);
  const left = shown.filter((binding) => !isExit(binding)).toSorted((a, b) => Number(b.views !== undefined) - Number(a.views !== undefined));
  return spread(wholeParts([pending, ...left.map(write)], width - lineWidth(right)), right, width, theme.glyph.ellipsis);
}

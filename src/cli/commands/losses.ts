/** `rlrun losses`: every name that `train.loss` knows, and what it stands for. */
import { lossPresets } from '../../config/index.ts';
import type { Handler } from '../types.ts';
import { table } from '../text.ts';

export const losses: Handler = async ({ flags, io }) => {
  const presets = Object.entries(lossPresets).sort(([a], [b]) => (a < b ? -1 : 1));
  if (flags.json) {
    for (const [name, { loss, normalize }] of presets) io.json({ type: 'loss', name, loss, advantage: { normalize } });
    return 'ok';
  }
  const rows = presets.map(([name, { loss, normalize }]) => {
    const { kind, reduction = 'sum', ...fields } = loss;
    const details = Object.entries(fields).map(([key, value]) => `${key}: ${String(value)}`).join(', ');
    return [name, kind, reduction, normalize, details];
  });
  io.print(table([{ title: 'Name' }, { title: 'Kind' }, { title: 'Reduction' }, { title: 'Advantage' }, { title: 'Fields' }], rows));
  return 'ok';
};

/** @file Weights that are no numbers: whatever such a model says means nothing, so it is not taken in. */
import { ModelError } from './errors.ts';

/** Throws when one of the values is NaN or infinite. */
export function requireFinite(values: ArrayLike<number>, { name, where }: { name: string; where: string }): void {
  let [count, first] = [0, 0];
  for (let index = 0; index < values.length; index++) {
    if (Number.isFinite(values[index])) continue;
    if (count++ === 0) first = values[index]!;
  }
  if (count === 0) return;
  const what = Number.isNaN(first) ? 'NaN' : 'infinite';
  throw new ModelError('invalid', `tensor "${name}" in ${where} has ${count} of ${values.length} values that are no finite numbers (the first is ${what})`, { fix: 'The weights are broken: a training run that diverged wrote them, or a conversion to a smaller type. Use others.' });
}

import { expect, test } from 'vitest';
import { createScorer } from '../../src/rewards/index.ts';
import { request, runtime } from './requests.ts';

test('a right sum earns the full reward, a wrong one nothing', async () => {
  const loaded = await createScorer({ settings: [{ kind: 'numeric_match', name: 'sum', weight: 2, tolerance: 0, relativeTolerance: 0 }], runtime });
  if (!loaded.ok) throw new Error(loaded.error.message);
  await using scorer = loaded.scorer;
  expect(await scorer.score(request('46', '46'))).toEqual({ ok: true, score: { reward: 1, subscores: [{ name: 'sum', value: 1, weight: 1 }] } });
  expect(await scorer.score(request('47', '46'))).toMatchObject({ ok: true, score: { reward: 0 } });
});

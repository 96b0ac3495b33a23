/** An engine ends when it has to, whatever a loss of the user's does in its worker. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openEngine } from '../../src/policy/index.ts';
import { engineOptions, randomPrompt, temporaryDirectory, tinyModel } from './support.ts';

const sequence = { tokenIds: randomPrompt(1, 6), actionMask: [0, 0, 0, 1, 1, 1], samplingLogprobs: [0, 0, 0, -1, -1, -1], advantages: [0, 0, 0, 1, 1, 1], temperature: 1 };

test('a loss that loops is ended with its engine', async () => {
  await using scratch = await temporaryDirectory();
  const model = await tinyModel(join(scratch.path, 'model'));
  const path = join(scratch.path, 'loops.ts');
  await writeFile(path, 'export default () => { for (;;); };');
  const stop = new AbortController();
  await using engine = await openEngine(engineOptions(model), { signal: stop.signal });
  const step = engine.trainer.forwardBackward({ sequences: [sequence] }, { kind: 'module', path, reduction: 'sum' }, stop.signal);
  stop.abort();
  await expect(step).rejects.toThrow(expect.objectContaining({ name: 'AbortError' }));
});

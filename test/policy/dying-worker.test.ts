/** A worker that dies where an engine's own would have to run out of memory: a script in its place, made to. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, test, vi } from 'vitest';
import { openEngine } from '../../src/policy/index.ts';
import { engineOptions, temporaryDirectory } from './support.ts';

let script: string;
vi.mock('../../src/util/worker-url.ts', () => ({ workerUrl: () => pathToFileURL(script) }));

/** A worker that opens whatever it is asked to, and dies of the first call. */
const DIES_OF_CALLS = `import { parentPort } from 'node:worker_threads';
parentPort.on('message', (message) => {
  if ('call' in message) throw new Error('out of memory');
  parentPort.postMessage({ kind: 'opened', info: {} });
});`;

test('a worker that dies while it closes has closed', async () => {
  await using directory = await temporaryDirectory();
  script = join(directory.path, 'worker.mjs');
  await writeFile(script, DIES_OF_CALLS);
  const engine = await openEngine(engineOptions('anywhere'));
  await expect(engine.close()).resolves.toBeUndefined();
});

/** What the environment says of the Hugging Face Hub reaches the store. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { startHub } from '../models/support/hub-server.ts';
import { build, fromHome, workspace } from './binary.ts';

beforeAll(() => build(), 180_000);

const commit = 'b'.repeat(40);

/** The embedded base, as a repository that only this token may read. */
async function privateHub() {
  const base = fromHome('models/arith-tiny');
  const names = ['config.json', 'tokenizer.json', 'tokenizer_config.json', 'onnx/model.onnx'];
  const files = new Map(await Promise.all(names.map(async (name) => [name, new Uint8Array(await readFile(join(base, name)))] as const)));
  return startHub({ name: 'org/private', commit, revisions: ['v1'], files, token: 'hf_secret' });
}

test('HF_ENDPOINT, HF_TOKEN and RLRUN_HUB_CACHE count, a revision is taken, and progress is told', async () => {
  await using hub = await privateHub();
  await using folder = await workspace();
  const cache = join(folder.cwd, 'shared cache');
  const rlrun = async (args: string[], env: Record<string, string>) => {
    const { stdout, stderr, exitCode } = await folder.start(args, { env: { NO_COLOR: '1', CI: '1', HF_TOKEN: '', HF_ENDPOINT: hub.url, HF_HOME: join(folder.cwd, 'hf'), RLRUN_HUB_CACHE: cache, ...env } });
    return { stdout: String(stdout), stderr: String(stderr), exitCode };
  };
  const fork = ['models', 'fork', 'hub:org/private@v1', '--name', 'mine'];

  const refused = await rlrun(fork, {});
  expect(refused).toMatchObject({ exitCode: 4, stdout: '' });
  expect(refused.stderr).toContain('error: hub:org/private@v1 may not be read, or does not exist\n  Check the spelling. If it is private or gated, accept its terms on the Hub and set HF_TOKEN.\n');
  expect(await rlrun(fork, { HF_TOKEN: 'secret' })).toMatchObject({ exitCode: 4, stderr: expect.stringContaining('HF_TOKEN should begin with "hf_"') });
  expect(await rlrun(fork, { HF_TOKEN: 'hf_secret', HF_ENDPOINT: 'hub.local' })).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('HF_ENDPOINT is "hub.local", which is no URL.') });

  const forked = await rlrun(fork, { HF_TOKEN: 'hf_secret' });
  expect(forked.exitCode).toBe(0);
  expect(forked.stderr).toMatch(/downloading hub:org\/private: .* of .*, onnx\/model\.onnx\n/);
  expect(forked.stderr).toContain('forked mine from hub:org/private@v1\n');
  expect(await readdir(cache)).toEqual(['models--org--private']);
  expect(hub.requests).toContain('GET /api/models/org/private/revision/v1');
  expect(await rlrun(['sample', 'mine', '1+2=', '--json'], { HF_ENDPOINT: 'http://127.0.0.1:9' })).toMatchObject({ exitCode: 0 });
});

import { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { RewardSettings } from '../../src/config/types.ts';
import { opened, request } from '../rewards/requests.ts';

const folder = realpathSync(mkdtempSync(join(tmpdir(), 'rlrun-secrets-')));
const { open, all } = opened();
beforeAll(() => {
  writeFileSync(join(folder, 'tell.mjs'), 'export default () => ({ reward: 1, info: { token: process.env.HF_TOKEN ?? null, other: process.env.MY_OWN ?? null } });');
  writeFileSync(join(folder, 'tell.cjs'), 'process.stdin.resume(); console.log(JSON.stringify({ reward: 1, info: { token: process.env.HF_TOKEN ?? null, other: process.env.MY_OWN ?? null } })); process.exit();');
  vi.stubEnv('HF_TOKEN', 'hf_secret');
  vi.stubEnv('MY_OWN', 'mine');
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await all();
  rmSync(folder, { recursive: true });
});

const module = { kind: 'module', name: 'tell', weight: 1, path: join(folder, 'tell.mjs'), args: {} } as const;
const command = { kind: 'command', name: 'tell', weight: 1, command: [process.execPath, join(folder, 'tell.cjs')], cwd: folder, timeoutMs: 20_000, score: 'stdout' } as const;

test.each<[string, RewardSettings, 'local' | 'subprocess']>([
  ['a worker', module, 'local'],
  ['a child', module, 'subprocess'],
  ['a program', command, 'subprocess'],
])('%s has the environment of rlrun without its secrets, unless they are named', async (_place, settings, kind) => {
  const infoOf = async (env: string[]) => {
    const scored = await (await open([settings], { kind, env })).score(request('', null));
    return scored.ok ? scored.score.subscores[0]!.info : scored.error;
  };
  expect(await infoOf([])).toEqual({ token: null, other: 'mine' });
  expect(await infoOf(['HF_TOKEN'])).toEqual({ token: 'hf_secret', other: 'mine' });
});

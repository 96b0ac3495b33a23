/** The same lock, in this process and between many. */
import { spawn, spawnSync } from 'node:child_process';
import { lutimes, mkdtemp, readdir, readlink, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, test } from 'vitest';
import { holderOf, takeLock } from '../../src/util/file-lock.ts';
import { fateOf, processMark } from '../../src/util/process-mark.ts';
import { bearWitness } from '../../src/util/witness.ts';
import { earlierMark, goneMark } from './marks.ts';

async function folder() {
  const path = await mkdtemp(join(tmpdir(), 'rlrun-lock-'));
  return { path, lock: join(path, 'lock'), [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** A process that takes the lock \`times\` over and says so each time; it counts what it finds in a file that only the lock protects. */
function holder(lock: string, ...args: string[]) {
  const script = new URL('./support/holder.ts', import.meta.url).pathname;
  const child = spawn(process.execPath, ['--no-warnings', script, lock, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const exited = new Promise<void>((resolve) => child.once('close', () => resolve()));
  return {
    child,
    line: async () => (await lines.next()).value as string,
    exited,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}

test('a mark tells this process from an earlier one with its number, and from those out of sight', () => {
  const [pid, started, namespace] = processMark().split('.');
  expect(fateOf(processMark())).toBe('alive');
  expect(fateOf(earlierMark().replace(/\.\w+$/, ''))).toBe('dead');
  expect(fateOf(goneMark().replace(/\.\w+$/, ''))).toBe('dead');
  expect(fateOf([pid, started, namespace, '00000000'].join('.'))).toBe('unknown');
  expect(fateOf('')).toBe('unknown');
});

test('a lock is held by one and free again afterwards', async () => {
  await using here = await folder();
  const first = await takeLock(here.lock);
  const second = await takeLock(here.lock);
  if (!('lock' in first) || !('holder' in second)) throw new Error('one lock, one holder');
  expect(second.holder).toMatchObject({ name: first.lock.name, fate: 'alive', isThere: true });
  await first.lock[Symbol.asyncDispose]();
  expect(await readdir(here.path)).toEqual([]);
  expect(await holderOf(here.lock)).toBeNull();
});

test('what has the number of this very process but began earlier is taken over', async () => {
  await using here = await folder();
  await symlink(earlierMark(), here.lock);
  const taken = await takeLock(here.lock);
  expect('lock' in taken && (await taken.lock.isHeld())).toBe(true);
});

test('a killed holder holds nothing', async () => {
  await using here = await folder();
  await using other = holder(here.lock);
  await other.line();
  expect((await holderOf(here.lock))!.isThere).toBe(true);
  other.child.kill('SIGKILL');
  await other.exited;
  expect((await holderOf(here.lock))!.fate).toBe('dead');
});

test('a holder that is stopped keeps its lock however long it is silent, and goes on', async () => {
  await using here = await folder();
  await using other = holder(here.lock);
  await other.line();
  other.child.kill('SIGSTOP');
  const longAgo = new Date(Date.now() - 3_600_000);
  await lutimes(here.lock, longAgo, longAgo);
  expect(await takeLock(here.lock)).toHaveProperty('holder.isThere', true);
  other.child.kill('SIGCONT');
  other.child.kill('SIGUSR2');
  expect(await other.line()).toBe('held');
});

test('a holder that slept while another took its lock notices before it writes', async () => {
  await using here = await folder();
  await using other = holder(here.lock);
  await other.line();
  other.child.kill('SIGSTOP');
  await rm(here.lock);
  const taken = await takeLock(here.lock);
  if (!('lock' in taken)) throw new Error('the lock is free');
  other.child.kill('SIGCONT');
  other.child.kill('SIGUSR2');
  expect(await other.line()).toBe('lost');
  other.child.kill('SIGTERM');
  await other.exited;
  expect(await readlink(here.lock)).toBe(taken.lock.name);
});

test.skipIf(process.platform !== 'linux')('a holder in another container is asked whether it is there', async () => {
  await using here = await folder();
  const [pid, started, , machine] = processMark().split('.');
  await symlink([pid, started, '1', machine, '0000abcd'].join('.'), here.lock);
  {
    using _ = (await bearWitness(`${here.lock}.0000abcd`))!;
    expect(await holderOf(here.lock)).toMatchObject({ fate: 'alive', isThere: true });
  }
  expect(await holderOf(here.lock)).toMatchObject({ fate: 'unknown', isThere: true });
  // What a killed process leaves: a socket at which nobody listens.
  const listen = "require('net').createServer().listen('lock.0000abcd', () => process.kill(process.pid, 'SIGKILL'))";
  spawnSync(process.execPath, ['-e', listen], { cwd: here.path });
  expect(await holderOf(here.lock)).toMatchObject({ fate: 'dead', isThere: false });
  const taken = await takeLock(here.lock);
  expect('lock' in taken && (await taken.lock.isHeld())).toBe(true);
});

test('six processes that find the lock of a dead one get it one after the other', async () => {
  await using here = await folder();
  await symlink(goneMark(), here.lock);
  const turns = 5;
  await Promise.all(Array.from({ length: 6 }, async () => {
    await using other = holder(here.lock, String(turns));
    for (let turn = 0; turn < turns; turn++) expect(await other.line()).toBe('alone');
    await other.exited;
  }));
  expect(await readdir(here.path)).toEqual([]);
});

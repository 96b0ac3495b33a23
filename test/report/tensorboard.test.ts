import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { crc32c, eventFile, scalarRecord, versionRecord, writeTensorboard } from '../../src/report/tensorboard.ts';
import { began, row, writeJob } from './support.ts';

const bytes = (hex: string) => hex.replaceAll(/\s/g, '');
const hex = (data: Uint8Array) => Buffer.from(data).toString('hex');

describe('bytes', () => {
  test('CRC-32C has its check value (RFC 3720 B.4)', () => {
    expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283);
    expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
    expect(crc32c(new Uint8Array(0))).toBe(0);
  });

  // Records as TensorFlow's own writer makes them.
  test('the first record names the version', () => {
    expect(hex(versionRecord(0))).toBe(bytes('1800000000000000 a37f4b22 09 0000000000000000 1a0d 627261696e2e4576656e743a32 eedf28a3'));
  });
  test('a scalar', () => {
    expect(hex(scalarRecord({ wallTime: 1, step: 1, tag: 'reward/mean', value: 0.25 }))).toBe(
      bytes('2100000000000000 017becf6 09 000000000000f03f 1001 2a14 0a12 0a0b 7265776172642f6d65616e 15 0000803e 4db1e7ec'),
    );
  });
  test('large steps and long names take the bytes they need', () => {
    const record = Buffer.from(scalarRecord({ wallTime: 1, step: 2 ** 40, tag: 'ü'.repeat(100), value: 1 }));
    expect(record.readBigUInt64LE(0)).toBe(BigInt(record.length - 16));
    expect(record.subarray(21, 28).toString('hex')).toBe('10808080808020');
  });
});

const rows = [
  row(0, { 'eval/reward': 0.25 }),
  row(1, { reward: 0.5, 'rewards/näher/mean': -1.5, num_tokens: 123456 }),
  row(300, { reward: 0.75 }),
  row(300, {}, { kind: 'rollback' }),
];

describe('files', () => {
  let folder = '';
  beforeAll(async () => void (folder = await mkdtemp(join(tmpdir(), 'rlrun-tensorboard-'))));
  afterAll(() => rm(folder, { recursive: true, force: true }));

  test('one run per job, under the same name when it is written again', async () => {
    const job = await writeJob(folder, { rows });
    const [first, second] = [await writeTensorboard(job, join(folder, 'events')), await writeTensorboard(job, join(folder, 'events'))];
    expect(second).toBe(first);
    expect(first).toBe(join(folder, 'events', job.id, `events.out.tfevents.${began / 1000}.rlrun`));
    expect(hex(await readFile(first))).toBe(hex(eventFile(rows, began)));
  });

  const python = process.env['RLRUN_PYTHON'] ?? 'python3';
  const hasReader = spawnSync(python, ['-c', 'import tensorboard.backend.event_processing.event_accumulator'], { timeout: 60_000 }).status === 0;

  test.skipIf(!hasReader)("TensorBoard's own reader finds every value (skipped without Python's tensorboard; RLRUN_PYTHON names a Python)", async () => {
    const job = await writeJob(folder, { rows });
    const path = await writeTensorboard(job, join(folder, 'read'));
    const program = `
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
events = EventAccumulator(sys.argv[1]); events.Reload()
print(json.dumps({tag: [[e.wall_time, e.step, e.value] for e in events.Scalars(tag)] for tag in events.Tags()['scalars']}))`;
    const read = spawnSync(python, ['-c', program, path.slice(0, -basename(path).length)], { encoding: 'utf8' });
    expect(read.status, read.stderr).toBe(0);
    expect(read.stderr).not.toMatch(/corrupt|DataLoss|truncated/i);
    const at = (step: number) => began / 1000 + step;
    expect(JSON.parse(read.stdout)).toEqual({
      'eval/reward': [[at(0), 0, 0.25]],
      reward: [[at(1), 1, 0.5], [at(300), 300, 0.75]],
      'rewards/näher/mean': [[at(1), 1, -1.5]],
      num_tokens: [[at(1), 1, 123456]],
    });
  });
});

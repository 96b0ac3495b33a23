/**
 * @file TensorBoard's event files: TFRecord frames around protobuf `Event` messages, written by hand because the format is small and its
 * libraries are not (tensorflow/core/lib/io/record_writer.h, tensorflow/core/util/event.proto).
 */
import { join } from 'node:path';
import writeFileAtomic from 'write-file-atomic';
import type { MetricsRow } from '../events.ts';
import { type StoredJob, readJobMetrics } from '../pipeline/index.ts';
import { makeFolder } from '../util/make-folder.ts';

/** Reflected polynomial of Castagnoli's CRC. */
const POLYNOMIAL = 0x82f63b78;

const crcTable = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
  return crc;
});

/** CRC-32C, unsigned. */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (crc >>> 8) ^ crcTable[(crc ^ byte) & 0xff]!;
  return (crc ^ 0xffffffff) >>> 0;
}

/** Masked, so that the checksum of data that holds checksums stays a good one. */
const masked = (bytes: Uint8Array): number => {
  const crc = crc32c(bytes);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
};

/** A TFRecord: length, its checksum, the payload, its checksum. */
function record(payload: Uint8Array): Uint8Array {
  const frame = Buffer.alloc(payload.length + 16);
  frame.writeBigUInt64LE(BigInt(payload.length), 0);
  frame.writeUInt32LE(masked(frame.subarray(0, 8)), 8);
  frame.set(payload, 12);
  frame.writeUInt32LE(masked(payload), 12 + payload.length);
  return frame;
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80);
  return [...bytes, rest];
}

/** A field of bytes: `field` with wire type 2, the length, the bytes. */
const bytesField = (field: number, bytes: Uint8Array): Buffer => Buffer.concat([Buffer.from([(field << 3) | 2, ...varint(bytes.length)]), bytes]);

function doubleField(field: number, value: number): Buffer {
  const bytes = Buffer.alloc(9);
  bytes[0] = (field << 3) | 1;
  bytes.writeDoubleLE(value, 1);
  return bytes;
}

function floatField(field: number, value: number): Buffer {
  const bytes = Buffer.alloc(5);
  bytes[0] = (field << 3) | 5;
  bytes.writeFloatLE(value, 1);
  return bytes;
}

/** The first record of a file. `wallTime`: seconds since the epoch. */
export const versionRecord = (wallTime: number): Uint8Array => record(Buffer.concat([doubleField(1, wallTime), bytesField(3, Buffer.from('brain.Event:2'))]));

export interface Scalar {
  /** Seconds since the epoch. */
  wallTime: number;
  step: number;
  tag: string;
  value: number;
}

export function scalarRecord({ wallTime, step, tag, value }: Scalar): Uint8Array {
  const summaryValue = Buffer.concat([bytesField(1, Buffer.from(tag)), floatField(2, value)]);
  const stepField = Buffer.from([2 << 3, ...varint(step)]);
  return record(Buffer.concat([doubleField(1, wallTime), stepField, bytesField(5, bytesField(1, summaryValue))]));
}

/** A whole event file: every metric of every row under its own name. */
export function eventFile(rows: readonly MetricsRow[], startedAt: number): Uint8Array {
  const scalars = rows.flatMap(({ step, time, metrics }) => Object.entries(metrics).map(([tag, value]): Scalar => ({ wallTime: time / 1000, step, tag, value })));
  return Buffer.concat([versionRecord(startedAt / 1000), ...scalars.map(scalarRecord)]);
}

/** Writes `<directory>/<job>/events.out.tfevents.…`, again under the same name; returns the path. */
export async function writeTensorboard(job: StoredJob, directory: string): Promise<string> {
  const startedAt = Date.parse(job.startedAt);
  const run = join(directory, job.id);
  await makeFolder(run);
  const path = join(run, `events.out.tfevents.${String(Math.floor(startedAt / 1000)).padStart(10, '0')}.rlrun`);
  await writeFileAtomic(path, Buffer.from(eventFile(await readJobMetrics(job), startedAt)));
  return path;
}

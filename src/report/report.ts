/** @file Reads jobs and writes their report. */
import writeFileAtomic from 'write-file-atomic';
import type { StoredJob } from '../pipeline/index.ts';
import { renderPage } from './page.ts';
import { readReportJob } from './read-job.ts';
import type { JobSamples } from './rollouts.ts';
import { sampleRollouts, tokenTextsOf } from './samples.ts';

export interface ReportOptions {
  /** One, or several to lay over each other. */
  jobs: readonly StoredJob[];
  /** Where the page is written. */
  output: string;
  /** The text of some token ids under a job's model; null when its tokenizer is not at hand. */
  decoder?: (job: StoredJob) => Promise<((ids: readonly number[]) => string) | null>;
  now: () => Date;
}

/** Writes one self-contained page; returns its size in bytes. */
export async function writeReport({ jobs, output, decoder, now }: ReportOptions): Promise<number> {
  const sampled: JobSamples[] = [];
  for (const meta of jobs) {
    const decode = (await decoder?.(meta)) ?? null;
    sampled.push({ job: await readReportJob(meta), ...(await sampleRollouts(meta.directory, { tokenTexts: decode && tokenTextsOf(decode) })) });
  }
  const page = renderPage({ jobs: sampled, writtenAt: now().toISOString() });
  await writeFileAtomic(output, page);
  return Buffer.byteLength(page);
}

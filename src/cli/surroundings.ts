/** What a job remembers of the world that it was run in. */
import { execFile } from 'node:child_process';
import { availableParallelism, totalmem } from 'node:os';
import { promisify } from 'node:util';
import type { Surroundings } from '../pipeline/index.ts';
import { packageVersion } from './paths.ts';

const runFile = promisify(execFile);

export async function surroundings(argv: readonly string[], cwd: string): Promise<Surroundings> {
  const git = async (...args: string[]) => (await runFile('git', args, { cwd, timeout: 2000 })).stdout.trim();
  const commit = await git('rev-parse', 'HEAD').catch(() => null);
  return {
    pid: process.pid,
    argv: ['rlrun', ...argv],
    cwd,
    versions: { rlrun: packageVersion(), node: process.versions.node },
    git: commit === null ? null : { commit, dirty: (await git('status', '--porcelain', '--untracked-files=no').catch(() => '')) !== '' },
    host: { platform: `${process.platform}-${process.arch}`, cpus: availableParallelism(), memoryGb: Math.round(totalmem() / 1e9) },
  };
}

/** @file An environment in a container: `docker run` in the foreground, so that its output is ours to read and its end is the container's. */
import { randomBytes } from 'node:crypto';
import { spawn } from 'node:child_process';
import { execa } from 'execa';
import { failure, type Outcome } from '../../runtimes/index.ts';
import { startHost, type StartOptions } from './started.ts';
import type { Host, HostSource } from './types.ts';

export interface DockerOptions extends Omit<StartOptions, 'command' | 'memoryMb' | 'addressOf' | 'afterwards'> {
  image: string;
  /** Inside of the container. */
  port: number;
  runArgs: readonly string[];
  memoryMb: number;
}

const DOCKER_MS = 20_000;

/** The whole command line. The port is published for this machine alone, on a number that Docker chooses. */
export const dockerRun = ({ image, port, runArgs, memoryMb }: Pick<DockerOptions, 'image' | 'port' | 'runArgs' | 'memoryMb'>, name: string): string[] =>
  ['docker', 'run', '--rm', '--name', name, '--label', 'rlrun', '--memory', `${memoryMb}m`, '--publish', `127.0.0.1::${port}`, ...runArgs, image];

export function inDocker({ image, port, runArgs, memoryMb, ...options }: DockerOptions): HostSource {
  return {
    isOurs: true,
    async open(signal) {
      const name = `rlrun-${randomBytes(6).toString('hex')}`;
      const leave = () => void spawn('docker', ['rm', '--force', name], { stdio: 'ignore', detached: true }).on('error', () => {}).unref();
      // Docker keeps a container whose `docker run` was killed.
      process.once('exit', leave);
      const started = await startHost({
        ...options,
        command: dockerRun({ image, port, runArgs, memoryMb }, name),
        memoryMb: null,
        addressOf: () => publishedPort(name, port),
        async afterwards() {
          process.off('exit', leave);
          await execa('docker', ['rm', '--force', name], { reject: false, timeout: DOCKER_MS });
        },
      }, signal);
      if (!started.ok) process.off('exit', leave);
      return started;
    },
  };
}

async function publishedPort(name: string, port: number): Promise<Outcome<Host['address']>> {
  const { stdout, stderr, exitCode } = await execa('docker', ['port', name, `${port}/tcp`], { reject: false, timeout: DOCKER_MS });
  const found = /:(\d+)\s*$/m.exec(stdout)?.[1];
  if (exitCode === 0 && found !== undefined) return { ok: true, value: { host: '127.0.0.1', port: Number(found) } };
  return failure('exit', `docker does not say where port ${port} of ${name} is published: ${(stderr || stdout).trim().slice(0, 400)}`);
}

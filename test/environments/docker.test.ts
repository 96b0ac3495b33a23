/** The `docker` runtime against a stand-in for Docker's command: no engine is needed, and none has been tried. */
import { chmodSync, existsSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { RuntimeSettings } from '../../src/config/types.ts';
import { openEnvironment, PROGRAM } from '../../src/environments/index.ts';
import { dockerRun } from '../../src/environments/hosts/docker.ts';

const server = fileURLToPath(new URL('./fixtures/hud-server.mjs', import.meta.url));
const path = process.env['PATH'];
let folder = '';

beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'rlrun-docker-')));
  process.env['PATH'] = `${folder}:${path}`;
});
afterEach(() => {
  process.env['PATH'] = path;
  rmSync(folder, { recursive: true, force: true });
});

/** Keeps a list of its calls. Its one container announces the port inside; the one outside is another. */
function docker({ port = 'echo "127.0.0.1:$(cat ${0%/*}/port)"' } = {}): void {
  writeFileSync(join(folder, 'docker'), `#!/bin/sh
echo "$*" >> "\${0%/*}/calls"
case "$1" in
  run) exec ${process.execPath} -e '
    const { writeFileSync } = require("node:fs");
    import(${JSON.stringify(server)}).then(async ({ serveHud }) => {
      const { port } = await serveHud();
      writeFileSync(${JSON.stringify(join(folder, 'port'))}, String(port));
      console.log("HUD_SERVE_PORT=8765");
    })' ;;
  port) ${port} ;;
esac
`);
  chmodSync(join(folder, 'docker'), 0o755);
}

const opened = () => openEnvironment({
  source: PROGRAM,
  runtime: {
    kind: 'local', command: [], cwd: folder, concurrency: 2, env: [], setupTimeoutMs: 20_000, scoreTimeoutMs: 20_000, rolloutTimeoutMs: 40_000, memoryMb: 256,
    home: { kind: 'docker', image: 'calc:1', port: 8765, runArgs: ['--env', 'MODE=training'], startTimeoutMs: 20_000 },
  } satisfies RuntimeSettings,
});
const calls = () => readFileSync(join(folder, 'calls'), 'utf8').trim().split('\n');

test('the command line: removed when it ends, found by its name, limited, and reachable from this machine alone', () => {
  expect(dockerRun({ image: 'calc:1', port: 8765, runArgs: ['--env', 'MODE=training'], memoryMb: 256 }, 'rlrun-1').join(' '))
    .toBe('docker run --rm --name rlrun-1 --label rlrun --memory 256m --publish 127.0.0.1::8765 --env MODE=training calc:1');
});

test('a container is started, asked where its port is, used, and removed', async () => {
  docker();
  const environment = await opened();
  if (!environment.ok) throw new Error(environment.failure.message);
  expect(await environment.environment.grade({ template: 'add', args: { a: 2, b: 3 }, prompt: '2+3=' }, [{ content: '5', toolCalls: [] }])).toEqual({ ok: true, value: 1 });
  await environment.environment[Symbol.asyncDispose]();
  const name = /--name (rlrun-[0-9a-f]{12}) /.exec(calls()[0]!)![1];
  expect(calls().slice(1)).toEqual([`port ${name} 8765/tcp`, `rm --force ${name}`]);
});

test('a container whose port is nowhere is removed again', async () => {
  docker({ port: 'echo "Error: No public port" >&2; exit 1' });
  expect(await opened()).toMatchObject({ ok: false, failure: { message: expect.stringMatching(/docker does not say where port 8765 of rlrun-\w+ is published: Error: No public port/) } });
  expect(calls().at(-1)).toMatch(/^rm --force rlrun-/);
});

test('without Docker, that is what is said', async () => {
  process.env['PATH'] = folder;
  expect(existsSync(join(folder, 'docker'))).toBe(false);
  expect(await opened()).toMatchObject({ ok: false, failure: { message: 'the environment could not be started: there is no program docker' } });
});

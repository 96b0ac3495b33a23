/** docs/json.md against what the real binary prints: every type, every key, every metric, every file. */
import { readFileSync } from 'node:fs';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { commands } from '../../src/cli/commands.ts';
import { exitCodes } from '../../src/cli/exit-codes.ts';
import { JSON_VERSION } from '../../src/cli/io.ts';
import { type EventType, liveEvents } from '../../src/events.ts';
import { build, fromHome, workspace } from './binary.ts';
import { writeTinyProject } from './tiny-model.ts';

type Line = { v: number; type: string } & Record<string, unknown>;
interface Shape {
  type: string;
  keys: string[];
  optional: string[];
}

const page = readFileSync(fromHome('docs/json.md'), 'utf8');

/** The part below a heading, up to the next heading of its kind. */
const section = (heading: string): string => {
  const begin = page.indexOf(`\n${heading}\n`);
  expect(begin, `docs/json.md has a section ${heading}`).toBeGreaterThan(-1);
  const rest = page.slice(begin + heading.length + 2);
  const level = heading.split(' ')[0]!;
  return rest.slice(0, new RegExp(`^#{2,${level.length}} `, 'm').exec(rest)?.index);
};

const quoted = (text: string): string[] => [...text.matchAll(/`([^`]+)`/g)].map(([, word]) => word!);

/** "- `type`: `key`, `key?`. Prose." */
const shapesOf = (heading: string): Shape[] =>
  [...section(heading).matchAll(/^- `([a-z-]+)`: ((?:`\w+\??`(?:,\s+)?)+)\./gm)].map(([, type, list]) => {
    const names = quoted(list!);
    return { type: type!, keys: names.filter((name) => !name.endsWith('?')), optional: names.filter((name) => name.endsWith('?')).map((name) => name.slice(0, -1)) };
  });

/** Events: "- `type` (live): Sentence. `{ key: type; … }`" */
const events: (Shape & { isLive: boolean })[] = [...section('## Events').matchAll(/^- `([a-z-]+)`( \(live\))?: .*`\{ (.*) \}`$/gm)].map(([, type, live, fields]) => {
  const names = [...fields!.replaceAll(/\{[^{}]*\}|\[[^\]]*\]/g, '').matchAll(/(\w+)(\??): /g)];
  const those = (mark: string) => names.filter(([, , optional]) => optional === mark).map(([, name]) => name!);
  return { type: type!, isLive: live !== undefined, keys: ['time', ...those('')], optional: those('?') };
});

const fits = ({ keys, optional }: Shape, { v: _, type: __, ...line }: Line): boolean =>
  keys.every((key) => key in line) && Object.keys(line).every((key) => keys.includes(key) || optional.includes(key));

const parse = (stdout: string): Line[] => stdout.split('\n').filter(Boolean).map((line) => JSON.parse(line) as Line);

/** Every line has a documented shape, and every documented shape of the command has been seen. */
function expectShapes(lines: readonly Line[], shapes: readonly Shape[]): void {
  expect(lines).not.toEqual([]);
  for (const line of lines) {
    expect(line.v).toBe(JSON_VERSION);
    if (!shapes.some((shape) => shape.type === line.type && fits(shape, line))) expect(`${line.type}: ${Object.keys(line).join(', ')}`).toBe(shapes.map(({ type, keys, optional }) => `${type}: ${[...keys, ...optional].join(', ')}`).join('\n'));
  }
  const unseen = shapes.filter((shape) => !lines.some((line) => line.type === shape.type && fits(shape, line)));
  expect(unseen.map(({ type, keys }) => [type, keys])).toEqual([]);
}

test('every command that has --json has a section, and every exit code its line', () => {
  for (const [name, { flags }] of Object.entries(commands)) if ((flags as readonly string[]).includes('json')) section(name === 'run' ? '### `rlrun PIPELINE`' : `### \`rlrun ${name}\``);
  const listed = [...section('## Exit codes').matchAll(/^\| (\d+) \| (.+) \|$/gm)].map(([, code, meaning]) => ({ code: Number(code), meaning }));
  expect(listed).toEqual(Object.values(exitCodes));
});

test('no line is printed anywhere whose type the page does not know', async () => {
  const folder = fromHome('src/cli');
  const sources = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith('.ts'));
  const printed = (await Promise.all(sources.map((name) => readFile(join(folder, name), 'utf8')))).flatMap((source) => [...source.matchAll(/\.json\(\{ type: '([a-z-]+)'/g)].map(([, type]) => type!));
  expect(printed.length).toBeGreaterThan(15);
  for (const type of printed) expect(page).toMatch(new RegExp(`^- \`${type}\`: `, 'm'));
});

describe('what the binary prints is what the page says', () => {
  let folder: Awaited<ReturnType<typeof workspace>>;
  let job: Line[] = [];
  beforeAll(async () => {
    build();
    folder = await workspace();
    await writeTinyProject(folder.cwd, { sft: 2, grpo: 3 });
    const { stdout, exitCode } = await folder.run('tiny.yaml', '--json', '--set', 'eval.samples=2');
    expect(exitCode).toBe(0);
    job = parse(stdout);
    return () => folder[Symbol.asyncDispose]();
  });
  const run = async (code: number, ...args: string[]): Promise<Line[]> => {
    const { stdout, stderr, exitCode } = await folder.run(...args, '--json');
    expect({ exitCode, args, stderr: exitCode === code ? '' : stderr }).toEqual({ exitCode: code, args, stderr: '' });
    return parse(stdout);
  };
  const jobFolder = async (): Promise<string> => join(folder.cwd, '.rlrun', 'jobs', (await readFile(join(folder.cwd, '.rlrun', 'jobs', 'latest'), 'utf8')).trim());

  test('events of a job; its file keeps those that are not live', async () => {
    const seen = new Set(job.map(({ type }) => type));
    for (const type of ['job-started', 'rollout-finished', 'group-finished', 'step-finished', 'eval-finished', 'checkpoint-saved', 'promoted', 'job-finished']) expect(seen).toContain(type);
    expectShapes(job, events.filter(({ type }) => seen.has(type)));
    expect(events.filter(({ isLive }) => isLive).map(({ type }) => type)).toEqual([...liveEvents]);
    const kept = parse(await readFile(join(await jobFolder(), 'events.jsonl'), 'utf8'));
    expect(kept.every(({ crc32 }) => /^[0-9a-f]{8}$/.test(String(crc32)))).toBe(true);
    expect(kept.map(({ crc32: _, ...event }) => event)).toEqual(job.filter(({ type }) => !liveEvents.has(type as EventType)).map(({ v: _, ...event }) => event));
  });

  test('metrics', () => {
    const known = quoted(section('### Metrics').replaceAll('\n', ' ')).map((name) => new RegExp(`^${name.replaceAll(/<\w+>/g, '.+')}(_low|_high)?$`));
    const names = new Set(job.flatMap(({ metrics }) => Object.keys(metrics ?? {})));
    expect(names.size).toBeGreaterThan(30);
    expect([...names].filter((name) => !known.some((pattern) => pattern.test(name)))).toEqual([]);
  });

  test('files of a job and of a model', async () => {
    const listed = (heading: string) => [...section('## Files').split(`\n${heading}`)[1]!.split(/\n(?=\S)/)[0]!.matchAll(/^ +([\w.-]+(?:\/step-000001(?:\.jsonl)?)?)/gm)].map(([, name]) => name!.split('/')[0]!);
    expect((await readdir(await jobFolder())).filter((name) => !listed('jobs/<name>').includes(name))).toEqual([]);
    const { before, after } = JSON.parse(await readFile(join(await jobFolder(), 'meta.json'), 'utf8')) as Line;
    const end = job.find(({ type }) => type === 'job-finished')!;
    expect(end['after']).toMatchObject({ 'eval/reward': expect.any(Number) });
    expect({ before, after }).toEqual({ before: end['before'], after: end['after'] });
    const model = join(folder.cwd, '.rlrun', 'models', 'tiny-rl');
    expect((await readdir(model)).filter((name) => !listed('models/<name>').includes(name))).toEqual([]);
    expect((await readdir(join(model, 'checkpoints', 'step-000001'))).filter((name) => !listed('models/<name>').includes(name))).toEqual([]);
  });

  const cases: [heading: string, runs: string[][]][] = [
    ['### `rlrun PIPELINE`', [['tiny.yaml', '--dry-run']]],
    ['### `rlrun check`', [['check', 'tiny.yaml', '--resolved']]],
    ['### `rlrun eval`', [['eval', 'tiny.yaml', '--tasks', '4', '--samples', '2']]],
    ['### `rlrun sample`', [['sample', 'tiny-rl', '1+1=']]],
    ['### `rlrun models list`', [['models', 'list']]],
    ['### `rlrun models fork`', [['models', 'fork', 'tiny-rl@step-000002', '--name', 'other'], ['models', 'fork', './tiny', '--name', 'third', '--dry-run']]],
    ['### `rlrun models checkpoints`', [['models', 'checkpoints', 'tiny-rl']]],
    ['### `rlrun models head`', [['models', 'head', 'tiny-rl'], ['models', 'head', 'tiny-rl', '--set', 'base', '--dry-run']]],
    ['### `rlrun models diff`', [['models', 'diff', 'tiny-rl', 'base']]],
    ['### `rlrun models export`', [['models', 'export', 'tiny-rl', '--out', 'exported']]],
    ['### `rlrun models prune`', [['models', 'prune', 'tiny-rl', '--dry-run']]],
    ['### `rlrun jobs`', [['jobs'], ['jobs', 'latest']]],
    ['### `rlrun trace`', [['trace', '000003-0000-001']]],
    ['### `rlrun report`', [['report', 'latest']]],
    ['### `rlrun losses`', [['losses']]],
    ['### `rlrun init`', [['init', 'fresh.yaml']]],
  ];
  test.each(cases)('%s', async (heading, runs) => {
    const lines: Line[] = [];
    for (const args of runs) lines.push(...(await run(0, ...args)));
    expectShapes(lines, shapesOf(heading));
  });

  test('what goes wrong', async () => {
    const lines = [...(await run(2, 'check', 'tiny.yaml', '--set', 'grup=3')), ...(await run(3, 'trace', '000009-0000-000')), ...(await run(5, 'init', 'tiny.yaml'))];
    expectShapes(lines, shapesOf('### Any command'));
    expect(lines.filter(({ type }) => type === 'error').map(({ exit }) => exit)).toEqual([3, 5]);
  });
});

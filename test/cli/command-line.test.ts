import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { commandLineOf } from '../../src/cli/command-line.ts';
import { converse } from '../../src/cli/converse.ts';
import { CommandError } from '../../src/cli/exit-codes.ts';
import type { Io } from '../../src/cli/io.ts';
import { rootOf } from '../../src/cli/paths.ts';

let cwd: string;
beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'rlrun-words-'));
  await writeFile(join(cwd, 'arith.yaml'), '');
  await writeFile(join(cwd, 'plain'), '');
});
afterAll(() => rm(cwd, { recursive: true, force: true }));

const said = (...argv: string[]): string => commandLineOf(argv, { cwd }).join(' ');
const refused = (...argv: string[]): string => {
  try {
    return said(...argv);
  } catch (error) {
    return `${(error as CommandError).message} ${(error as CommandError).fix}`;
  }
};

describe('what is typed', () => {
  test.each([
    [['arith.yaml', '--seed', '3'], 'run arith.yaml --seed 3'],
    [['--seed', '3', 'arith.yaml'], 'run --seed 3 arith.yaml'],
    [['plain'], 'run plain'],
    [['nowhere.yml'], 'run nowhere.yml'],
    [['check', 'x'], 'check x'],
    [['help'], '--help'],
    [['help', 'check'], 'check --help'],
    [['help', 'models', 'fork'], 'models fork --help'],
    [['help', '--json'], '--help'],
    [['version'], '--version'],
    [['-v'], '--version'],
    [['-V'], '-V'],
    [[], ''],
  ])('%j is %j', (argv, meant) => expect(said(...argv)).toBe(meant));

  test.each([
    [['train', 'my file.yaml', '--seed', '3'], "There is no command \"train\". Did you mean: rlrun run 'my file.yaml' --seed 3"],
    [['start'], 'Did you mean: rlrun run\n'],
    [['list'], 'Did you mean: rlrun models list\n'],
    [['fork', 'builtin:arith-tiny'], 'Did you mean: rlrun models fork builtin:arith-tiny\n'],
    [['chat', 'arith-rl'], 'Did you mean: rlrun sample arith-rl\n'],
    [['arith'], 'Did you mean: rlrun arith.yaml\n'],
    [['chekc'], 'Did you mean "check"?'],
    [['constructor'], 'There is no command "constructor". rlrun --help shows what there is.'],
  ])('%j is answered with the command that was meant', (argv, words) => expect(refused(...argv)).toContain(words));
});

describe('models and jobs', () => {
  test('are found from a folder inside the project, up to the repository', async () => {
    const inside = join(cwd, 'project', 'packages', 'one');
    await mkdir(inside, { recursive: true });
    expect(rootOf({ cwd: inside, env: {} })).toBe(join(inside, '.rlrun'));
    await mkdir(join(cwd, '.rlrun', 'models'), { recursive: true });
    expect(rootOf({ cwd: inside, env: {} })).toBe(join(cwd, '.rlrun'));
    // An empty folder of that name is nobody's store, and what lies above a repository is another project's.
    await mkdir(join(cwd, 'project', 'packages', '.rlrun'));
    await mkdir(join(cwd, 'project', '.git'));
    expect(rootOf({ cwd: inside, env: {} })).toBe(join(inside, '.rlrun'));
    await mkdir(join(cwd, 'project', '.rlrun', 'jobs'), { recursive: true });
    expect(rootOf({ cwd: inside, env: {} })).toBe(join(cwd, 'project', '.rlrun'));
    expect(rootOf({ cwd: inside, env: { RLRUN_HOME: '/elsewhere' } })).toBe('/elsewhere');
  });
});

describe('a conversation', () => {
  const terminal = () => {
    const stdin = Object.assign(new PassThrough(), { isTTY: false, setRawMode: () => stdin });
    const told: string[] = [];
    const io = { stdin, lineEditor: new PassThrough(), signal: new AbortController().signal, say: (text: string) => void told.push(text), tell: (text: string) => void told.push(text), paint: (_: unknown, text: string) => text };
    return { io: io as unknown as Io, stdin, told };
  };

  test('answers line by line, leaves out empty ones, and ends with its input', async () => {
    const { io, stdin } = terminal();
    const lines: string[] = [];
    stdin.end('one\n\n  \ntwo\n');
    await converse(io, async (line) => void lines.push(line));
    expect(lines).toEqual(['one', 'two']);
  });

  test('tells what was wrong with a line, and goes on; a bug ends it', async () => {
    const { io, stdin, told } = terminal();
    stdin.end('long\nshort\nbroken\n');
    const answered: string[] = [];
    const talk = converse(io, async (line) => {
      if (line === 'long') throw new CommandError('usage', 'The prompt is too long.', 'Shorten it.');
      if (line === 'broken') throw new TypeError('x is undefined');
      answered.push(line);
    });
    await expect(talk).rejects.toThrow('x is undefined');
    expect({ told, answered }).toEqual({ told: ['error: The prompt is too long.\n  Shorten it.'], answered: ['short'] });
  });

  test('ends at once when the process is asked to end', async () => {
    const { io, stdin } = terminal();
    const abort = new AbortController();
    stdin.write('one\n');
    const talk = converse({ ...io, signal: abort.signal }, async (_, signal) => {
      abort.abort();
      signal.throwIfAborted();
    });
    await talk;
  });
});

/** One bit flipped in any file of a stopped job: it is told, or it makes no difference. */
import { cp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { uniform } from '../../src/util/random.ts';
import { build, workspace } from './binary.ts';
import { writeTinyProject } from './tiny-model.ts';

beforeAll(() => build(), 180_000);

/** `RLRUN_FLIPS=1000` for a longer look. Every file gets its share. */
const FLIPS = Number(process.env['RLRUN_FLIPS'] ?? 60);
const STEPS = { sft: 12, grpo: 4 };
const LAST = 14;

type Folder = Awaited<ReturnType<typeof workspace>>;

/** The head's weights and moments. */
async function outcome({ cwd }: Folder): Promise<string> {
  const model = join(cwd, '.rlrun', 'models', 'tiny-rl');
  const name = (await readFile(join(model, 'head'), 'utf8')).trim().split(' ').at(-1)!;
  const files = await Promise.all(['weights.safetensors', 'optimizer.safetensors'].map((file) => readFile(join(model, 'checkpoints', name, file), 'base64')));
  return files.join('\n');
}

test(`${FLIPS} flipped bits`, { timeout: 60_000 + 20_000 * FLIPS }, async () => {
  await using whole = await workspace();
  await writeTinyProject(whole.cwd, STEPS);
  expect(await whole.run('tiny.yaml', '--quiet')).toMatchObject({ exitCode: 0 });
  const expected = await outcome(whole);

  await using folder = await workspace();
  await writeTinyProject(folder.cwd, STEPS);
  const child = folder.start(['tiny.yaml', '--json']);
  child.stdout!.on('data', (piece: Buffer) => new RegExp(`"type":"step-finished".*"step":${LAST},`).test(piece.toString()) && child.kill('SIGINT'));
  await child;
  const [stored, kept] = [join(folder.cwd, '.rlrun'), join(folder.cwd, 'kept')];
  await cp(stored, kept, { recursive: true });
  const names = (await readdir(kept, { withFileTypes: true, recursive: true })).filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name).slice(kept.length + 1)).sort();
  expect(names.length).toBeGreaterThan(20);

  const silent: string[] = [];
  for (let flip = 0; flip < FLIPS; flip++) {
    await rm(stored, { recursive: true, force: true });
    await cp(kept, stored, { recursive: true });
    const name = names[flip % names.length]!;
    const path = join(stored, name);
    const { size } = await stat(path);
    if (size === 0) continue;
    const bytes = await readFile(path);
    const bit = Math.floor(uniform([7], flip) * 8 * size);
    // Under another name it is no checksum, and what it was for is as it was.
    const checksumName = bytes.lastIndexOf('"crc32"', bit >> 3);
    const isOfName = checksumName !== -1 && (bit >> 3) - checksumName < '"crc32"'.length;
    bytes[bit >> 3]! ^= 1 << (bit & 7);
    await writeFile(path, bytes);
    const resumed = await folder.start(['tiny.yaml', '--resume'], { timeout: 300_000 });
    const [stderr, exitCode, where] = [String(resumed.stderr), resumed.exitCode, `bit ${bit} of ${name}`];
    expect(stderr, where).not.toMatch(/bug in rlrun|\n +at .*\(.*:\d+:\d+\)/);
    if (exitCode !== 0) {
      expect(stderr, where).toMatch(/^(?:[^]*\n)?(?:error|failed): /);
      continue;
    }
    expect((await outcome(folder)) === expected, where).toBe(true);
    if (/checkpoints\/step-00000\d\/|metrics|events|meta\.json|model\.json/.test(name) && !stderr.includes('warning') && !isOfName) silent.push(where);
  }
  // Weights that are not gone on from are not read; everything else that was read has been told.
  const head = (await readFile(join(kept, 'models', 'tiny-rl', 'head'), 'utf8')).trim().split(' ').at(-1)!;
  expect(silent.filter((where) => !where.includes('checkpoints/') || where.includes(`checkpoints/${head}/`))).toEqual([]);
});

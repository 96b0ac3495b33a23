/** @file The TypeScript of the documentation and the examples, against the types that the package exports, as a project that installed it sees them. */
import { cp, mkdir, readFile, readdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { beforeAll, expect, test } from 'vitest';
import { build, fromHome, workspace } from '../cli/binary.ts';

beforeAll(() => build(), 180_000);

const pages = ['README.md', ...(await readdir(fromHome('docs'))).filter((name) => name.endsWith('.md')).map((name) => `docs/${name}`)];

/** The blocks that are a module of their own: they import something of rlrun's. */
async function modulesOf(page: string): Promise<string[]> {
  const text = await readFile(fromHome(page), 'utf8');
  return [...text.matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map(([, code]) => code!).filter((code) => code.includes("from 'rlrun"));
}

test('all of it compiles, strictly', async () => {
  await using folder = await workspace();
  await mkdir(join(folder.cwd, 'node_modules'));
  await symlink(fromHome('.'), join(folder.cwd, 'node_modules', 'rlrun'));
  await symlink(fromHome('node_modules/@types'), join(folder.cwd, 'node_modules', '@types'));
  let written = 0;
  for (const page of pages) for (const code of await modulesOf(page)) await writeFile(join(folder.cwd, `block-${++written}.ts`), code);
  expect(written).toBeGreaterThan(4);
  for (const kind of ['rewards', 'tasksets', 'losses', 'onnx']) await cp(fromHome(`examples/${kind}`), join(folder.cwd, kind), { recursive: true });
  await writeFile(join(folder.cwd, 'package.json'), '{ "type": "module" }');
  const compilerOptions = { target: 'es2024', module: 'nodenext', strict: true, noEmit: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true, skipLibCheck: false, lib: ['es2024', 'esnext.float16', 'esnext.disposable'], types: ['node'] };
  await writeFile(join(folder.cwd, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['**/*.ts'] }));
  const { stdout, exitCode } = await execa(process.execPath, [fromHome('node_modules/typescript/bin/tsc'), '-p', folder.cwd], { cwd: folder.cwd, reject: false });
  expect(stdout).toBe('');
  expect(exitCode).toBe(0);
}, 60_000);

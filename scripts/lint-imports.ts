/**
 * @file The import rules of the house, twice: over the compiled files, where only the imports that really happen are left, and over the sources with
 * their types stripped but their type-only imports kept, where two files that need each other's types are a circle as well.
 */
import { globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { dirname, join } from 'node:path';
import { cruise, type IReporterOutput } from 'dependency-cruiser';
import config from '../.dependency-cruiser.js';

/** Where the sources are written as JavaScript; git does not see it. */
const withTypeImports = 'node_modules/.cache/rlrun-imports';

function keepTypeImports(): void {
  rmSync(withTypeImports, { recursive: true, force: true });
  for (const file of globSync('src/**/*.ts')) {
    const target = join(withTypeImports, file.replace(/\.ts$/, '.js'));
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, stripTypeScriptTypes(asValues(readFileSync(file, 'utf8'))).replaceAll(/(from |import\()'(\.[^']*)\.ts'/g, "$1'$2.js'"));
  }
}

/** `import type { A } from` and `import { type A } from` as imports of values. */
const asValues = (source: string): string =>
  source.replaceAll(/^(import|export) (?:type )?(\{[^}]*\}|\*(?: as \w+)?) from/gm, (_, keyword: string, names: string) => `${keyword} ${names.replaceAll(/\btype /g, '')} from`);

const rules = { validate: true, ruleSet: { forbidden: config.forbidden }, doNotFollow: { path: 'node_modules/(?!\\.cache)' }, outputType: 'err' as const };

async function check(name: string, folder: string): Promise<boolean> {
  const { output, exitCode } = (await cruise([folder], rules)) as IReporterOutput;
  // A parser that cannot read the files finds no fault in them.
  const modules = Number(/\((\d+) modules/.exec(String(output))?.[1] ?? 0);
  process.stdout.write(`${name}: ${String(output).trim()}\n`);
  return exitCode === 0 && modules > 100;
}

keepTypeImports();
const isSound = [await check('what runs', 'dist'), await check('types as well', withTypeImports)];
rmSync(withTypeImports, { recursive: true, force: true });
if (isSound.includes(false)) process.exitCode = 1;

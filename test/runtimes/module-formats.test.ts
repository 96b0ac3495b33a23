/** A module is what it says it is, whatever the package.json beside it says. */
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { opened, request } from '../rewards/requests.ts';

const folder = realpathSync(mkdtempSync(join(tmpdir(), 'rlrun-formats-')));
const { open, all } = opened();
afterAll(async () => {
  await all();
  rmSync(folder, { recursive: true });
});

const esm = (extension: string) => `import { one } from './one.${extension}';\nexport default (completion${extension.includes('t') ? ': string' : ''}) => one + completion.length;\n`;
const cjs = (extension: string) => `const { one } = require('./one.${extension}');\nmodule.exports = () => one;\n`;
const compiled = () => '"use strict";\nObject.defineProperty(exports, "__esModule", { value: true });\nexports.default = () => 1;\n';
const exportsOne = 'export const one = 1;\n';
const requiredOne = 'exports.one = 1;\n';

test.each([
  ...['commonjs', null].flatMap((type) => [
    ...['ts', 'mts', 'js', 'mjs'].map((extension) => [type, extension, 'export default', esm, exportsOne] as const),
    ...['ts', 'cts', 'js', 'cjs'].map((extension) => [type, extension, 'module.exports', cjs, requiredOne] as const),
    ...['cts', 'js', 'cjs'].map((extension) => [type, extension, 'what a compiler writes', compiled, requiredOne] as const),
  ]),
  ...['ts', 'js'].map((extension) => ['module', extension, 'export default', esm, exportsOne] as const),
  ...['cts', 'cjs'].map((extension) => ['module', extension, 'module.exports', cjs, requiredOne] as const),
])('beside type %s: .%s with %s', async (type, extension, name, text, one) => {
  const home = join(folder, `${type}-${extension}-${name.replaceAll(' ', '-')}`);
  mkdirSync(home);
  writeFileSync(join(home, 'package.json'), JSON.stringify(type === null ? {} : { type }));
  writeFileSync(join(home, `one.${extension}`), one);
  writeFileSync(join(home, `reward.${extension}`), text(extension));
  const scorer = await open([{ kind: 'module', name: 'reward', weight: 1, path: join(home, `reward.${extension}`), args: {} }]);
  expect(await scorer.score(request('', null))).toMatchObject({ ok: true, score: { reward: 1 } });
});

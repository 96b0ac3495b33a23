import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { formatDiagnostics, loadPipeline } from '../../src/config/index.ts';

const folder = new URL('./wrong/', import.meta.url);
const files = readdirSync(folder).filter((name) => name.endsWith('.yaml'));

/** First lines of a file may say `#! set path=value` and `#! env NAME=value`. */
function directives(text: string, kind: 'set' | 'env'): string[] {
  return [...text.matchAll(new RegExp(`^#! ${kind} (.*)$`, 'gm'))].map((match) => match[1] ?? '');
}

describe('a wrong file is explained', () => {
  test.each(files)('%s', async (file) => {
    const text = readFileSync(new URL(file, folder), 'utf8');
    const env = Object.fromEntries(directives(text, 'env').map((line) => line.split('=', 2)));
    const result = await loadPipeline({ file, sets: directives(text, 'set'), env, directory: folder.pathname });
    expect(result.ok).toBe(file.startsWith('warning-'));
    await expect(`${formatDiagnostics(result.diagnostics)}\n`).toMatchFileSnapshot(`wrong/${file.replace('.yaml', '.txt')}`);
  });
});

import { describe, expect, test } from 'vitest';
import { formatDiagnostics } from '../../src/config/index.ts';
import { load, needed } from './memory.ts';

const told = async (text: string): Promise<string> => {
  const result = await load(text);
  expect(result.ok).toBe(false);
  return formatDiagnostics(result.diagnostics, { width: 60 });
};

describe('hostile files are refused in a sentence', () => {
  test('a file that is not there', async () => {
    const result = await load({ 'pipelines.yaml': '' });
    expect(formatDiagnostics(result.diagnostics)).toBe('error[file-not-found]: there is no file pipeline.yaml\n  --> pipeline.yaml\n   did you mean "pipelines.yaml"?\n\n1 error');
  });

  test('more than a megabyte', async () => {
    expect(await told(`${needed}x-filler: ${'a'.repeat(1_200_000)}\n`)).toBe(
      'error[file-too-large]: pipeline.yaml has 1.2 MB; a pipeline file has at most 1 MB\n  --> pipeline.yaml\n   keep tasks in a .jsonl file and name it under taskset.source\n\n1 error',
    );
  });

  test('brackets beyond any stack', async () => {
    expect(await told('['.repeat(100_000))).toMatch(/^error\[(too-deep|yaml-syntax)\]: /);
    expect(await told('['.repeat(20_000) + ']'.repeat(20_000))).toMatch(/^error\[too-deep\]: /);
    expect(await told('{a: '.repeat(5_000) + '}'.repeat(5_000))).toMatch(/^error\[too-deep\]: /);
  });

  test('a list of a hundred thousand values', async () => {
    expect(await told(`${needed}x-list: [${'1,'.repeat(100_000)}]\n`)).toMatch(/^error\[too-many-values\]: this file expands to more than 20,000 values/);
  });

  test('a key of a hundred thousand letters', async () => {
    const text = await told(`${needed}? ${'k'.repeat(100_000)}\n: 1\n`);
    expect(text.length).toBeLessThan(2_000);
  });

  test('a binary file', async () => {
    expect(await told('\0\u0001\u0002')).toBe('error[file-unreadable]: pipeline.yaml is not UTF-8 text\n  --> pipeline.yaml\n\n1 error');
  });

  test('more problems than anybody reads', async () => {
    const text = await told(`${needed}${Array.from({ length: 100 }, (_, i) => `zz${i}x: 1`).join('\n')}\n`);
    expect(text.match(/^error\[/gm)).toHaveLength(20);
    expect(text).toMatch(/… and 80 more\n\n100 errors$/);
  });

  test('a regular expression pattern of the schema is not slow on long texts', async () => {
    expect(await told(`${needed}name: ${'a-'.repeat(50_000)}!\n`)).toContain('error[wrong-');
  });
});

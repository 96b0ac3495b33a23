import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { NumberLiteral, pythonJson, slugOf } from '../../src/tasks/slug.ts';

interface Vector {
  args: string;
  json: string;
  slug: string;
}
const vectors = JSON.parse(readFileSync(new URL('./fixtures/python-slugs.json', import.meta.url), 'utf8')) as Vector[];

const literally = (_key: string, value: unknown, { source }: { source?: string }) => (typeof value === 'number' ? new NumberLiteral(source!) : value);
const parse = (text: string) => JSON.parse(text, literally as never) as Record<string, unknown>;

test('the vectors measured on HUD', () => {
  expect(slugOf('add', { a: 2, b: 3 })).toBe('add-001a8858');
  expect(slugOf('add', { word: 'größe' })).toBe('add-3e2b8fd7');
  expect(slugOf('add', parse('{"x": 1.0, "flag": true, "n": null}'))).toBe('add-75bd0260');
  expect(slugOf('add', { x: [1, { k: 1e-7 }] })).toBe('add-2cf1795c');
  expect(slugOf('add', {})).toBe('add');
});

test.each(vectors)('prints as Python does: $json', ({ args, json, slug }) => {
  expect(pythonJson(parse(args))).toBe(json);
  expect(slugOf('t', parse(args))).toBe(slug);
});

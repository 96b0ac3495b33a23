import { readFileSync, readdirSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, test } from 'vitest';
import { generated } from '../../scripts/generate.ts';
import { withoutMarkup } from '../../scripts/taskset-args.ts';
import { diagnosticCodes } from '../../src/config/index.ts';
import { lossPresets } from '../../src/config/loss-presets.ts';

const root = new URL('../../', import.meta.url);
type Json = Record<string, unknown>;
const schema = JSON.parse(readFileSync(new URL('schemas/pipeline.schema.json', root), 'utf8')) as Json & { $defs: Record<string, Json> };

const strict = new Ajv2020({ allErrors: true, strict: true, strictRequired: false, discriminator: true, allowUnionTypes: true });
strict.addVocabulary(['markdownDescription', 'tsType', 'x-default', 'x-expected', 'x-suggest', 'x-hint']);

/** Every schema of a key, with its JSON pointer: the properties of the top level and of every definition, nested ones too. */
function keys(part: Json = schema, path = ''): { path: string; property: Json; isNeeded: boolean }[] {
  const required = (part['required'] ?? []) as string[];
  // The kinds of a union are listed for editors; each kind explains its own.
  const own = part['oneOf'] !== undefined ? [] : Object.entries((part['properties'] ?? {}) as Record<string, Json>).flatMap(([key, property]) => [
    { path: `${path}/properties/${key}`, property, isNeeded: required.includes(key) },
    ...keys(property, `${path}/properties/${key}`),
  ]);
  const definitions = part === schema ? Object.entries(schema.$defs).flatMap(([name, definition]) => keys(definition, `/$defs/${name}`)) : [];
  return [...own, ...definitions];
}

const documented = [
  ...keys().filter(({ property }) => property['$ref'] === undefined),
  ...Object.entries(schema.$defs).map(([name, property]) => ({ path: `/$defs/${name}`, property, isNeeded: true })),
];

strict.addSchema(schema, 'pipeline');

test('the schema is valid in strict mode', () => {
  expect(() => strict.getSchema('pipeline')).not.toThrow();
});

describe('every key is explained where editors look', () => {
  test.each(documented)('$path', ({ property, isNeeded }) => {
    const { title, description, markdownDescription, examples } = property as { title: string; description: string; markdownDescription: string; examples: unknown[] };
    expect(title).toMatch(/^[A-Z−\d]/);
    expect(markdownDescription).toMatch(/[.?:)]$/);
    expect(description).toBe(withoutMarkup(markdownDescription));
    if (property['enum'] === undefined) expect(examples.length).toBeGreaterThan(0);
    // A default is a value, or is said in words, or there is none because the key is needed or is a section of its own.
    const says = property['default'] !== undefined || property['x-default'] !== undefined || /Default:/.test(description);
    expect(says || isNeeded || property['const'] !== undefined || property['properties'] !== undefined || property['type'] === 'object').toBe(true);
  });
});

test('examples and defaults are valid themselves', () => {
  const wrong = documented.flatMap(({ path, property }) => {
    const validate = strict.getSchema(`pipeline#${path}`)!;
    const values = [...((property['examples'] ?? []) as unknown[]), ...['default', 'x-default'].flatMap((key) => (property[key] === undefined ? [] : [property[key]]))];
    return values.filter((value) => !validate(value)).map((value) => `${path}: ${JSON.stringify(value)}`);
  });
  expect(wrong).toEqual([]);
});

test('every map refuses unknown keys', () => {
  const open = documented.filter(({ property }) => property['properties'] !== undefined && property['oneOf'] === undefined && property['additionalProperties'] !== false).map(({ path }) => path);
  expect(open).toEqual([]);
});

test('the presets of the schema are the presets there are', () => {
  expect(schema.$defs['LossPreset']?.['enum']).toEqual(expect.arrayContaining(Object.keys(lossPresets)));
});

describe('what is generated from the schema is what is committed', () => {
  test.each(Object.keys(generated))('%s', async (path) => {
    expect(readFileSync(new URL(path, root), 'utf8')).toBe(await generated[path]?.());
  });
});

test('every diagnostic has a test with its exact text', () => {
  const texts = readdirSync(new URL('wrong/', import.meta.url)).filter((name) => name.endsWith('.txt')).map((name) => readFileSync(new URL(`wrong/${name}`, import.meta.url), 'utf8'));
  const tests = ['hostile.test.ts', 'load.test.ts', 'load-problems.test.ts'].map((name) => readFileSync(new URL(name, import.meta.url), 'utf8'));
  const shown = [...texts, ...tests].join('\n');
  expect(Object.keys(diagnosticCodes).filter((code) => !shown.includes(`[${code}]`) && !shown.includes(`'${code}'`))).toEqual([]);
});

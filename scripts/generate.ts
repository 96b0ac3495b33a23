/** @file `npm run generate`: everything that follows from schemas/pipeline.schema.json and src/events.ts. A test compares the results with what is committed. */
import { readFile, writeFile } from 'node:fs/promises';
import { compile } from 'json-schema-to-typescript';
import { withEvents } from './events.ts';
import { renderReference } from './reference.ts';
import { printJson, withTasksetArgs } from './taskset-args.ts';
import { renderValidator } from './validator.ts';
import type { Schema } from '../src/config/schema.ts';

const root = new URL('..', import.meta.url);
type Json = Record<string, unknown>;
const read = (path: string): Promise<string> => readFile(new URL(path, root), 'utf8');
const schema = withTasksetArgs(JSON.parse(await read('schemas/pipeline.schema.json')) as Json);

/** Path in the repository → its text. */
export const generated: Readonly<Record<string, () => string | Promise<string>>> = {
  'schemas/pipeline.schema.json': () => `${printJson(schema)}\n`,
  'src/config/pipeline-file.generated.ts': renderTypes,
  'src/config/validator.generated.ts': () => renderValidator(schema),
  'docs/pipeline.md': () => renderReference(schema as Schema),
  'docs/json.md': async () => withEvents(await read('docs/json.md'), await read('src/events.ts')),
};

/** The raw file as TypeScript types: what is written, before `extends`, defaults and presets. */
async function renderTypes(): Promise<string> {
  const named = structuredClone(schema);
  nameTypesByDefinition(named);
  return await compile(named, 'PipelineFile', {
    bannerComment: '// Generated from schemas/pipeline.schema.json by `npm run generate`.',
    additionalProperties: false,
    ignoreMinAndMaxItems: true,
    unreachableDefinitions: true,
    style: { singleQuote: true, printWidth: 140 },
  });
}

/** The compiler names a type by its `title`, which here is a heading for people; the key of the definition is the better name, and small types need none. */
function nameTypesByDefinition(value: unknown, name?: string): void {
  if (value === null || typeof value !== 'object') return;
  const part = value as Json;
  if (typeof part['title'] === 'string') {
    delete part['title'];
    if (name !== undefined) part['title'] = name;
  }
  // Conditions (args by taskset) and `x-` keys have no counterpart in a type, and a reference is a name.
  for (const keyword of ['markdownDescription', 'default', 'examples', 'patternProperties', 'allOf']) delete part[keyword];
  // The kinds that an editor offers, which each kind of the union says of itself.
  if (part['discriminator'] !== undefined) delete part['properties'];
  if (typeof part['$ref'] === 'string') for (const keyword of Object.keys(part)) if (keyword !== '$ref') delete part[keyword];
  for (const [key, child] of Object.entries(part)) {
    if (key === '$defs') for (const [definition, inner] of Object.entries(child as Json)) nameTypesByDefinition(inner, definition);
    else if (key === 'properties') for (const inner of Object.values(child as Json)) nameTypesByDefinition(inner);
    else if (key !== 'required' && key !== 'enum') nameTypesByDefinition(child);
  }
}

if (process.argv[1] === import.meta.filename) {
  for (const [path, render] of Object.entries(generated)) await writeFile(new URL(path, root), await render());
}

/** @file `npm run generate`: everything that follows from schemas/pipeline.schema.json. A test compares the results with what is committed. */
import { readFile, writeFile } from 'node:fs/promises';
import { compile } from 'json-schema-to-typescript';

const root = new URL('..', import.meta.url);
const schemaText = await readFile(new URL('schemas/pipeline.schema.json', root), 'utf8');

/** Path in the repository → its text. */
export const generated: Readonly<Record<string, () => Promise<string>>> = {
  'src/config/pipeline-file.generated.ts': renderTypes,
};

/** The raw file as TypeScript types: what is written, before `extends`, defaults and presets. */
async function renderTypes(): Promise<string> {
  const schema = JSON.parse(schemaText) as SchemaObject;
  nameTypesByDefinition(schema);
  return await compile(schema, 'PipelineFile', {
    bannerComment: '// Generated from schemas/pipeline.schema.json by `npm run generate`.',
    additionalProperties: false,
    ignoreMinAndMaxItems: true,
    unreachableDefinitions: true,
    style: { singleQuote: true, printWidth: 140 },
  });
}

type SchemaObject = { [key: string]: unknown };

/** The compiler names a type by its `title`, which here is a heading for people; the key of the definition is the better name, and small types none. */
function nameTypesByDefinition(value: unknown, name?: string): void {
  if (value === null || typeof value !== 'object') return;
  const schema = value as SchemaObject;
  if (typeof schema['title'] === 'string') {
    delete schema['title'];
    if (name !== undefined) schema['title'] = name;
  }
  // Conditions (args by taskset) and `x-` keys have no counterpart in a type, and a reference is a name.
  for (const keyword of ['markdownDescription', 'default', 'examples', 'patternProperties', 'allOf']) delete schema[keyword];
  if (typeof schema['$ref'] === 'string') for (const keyword of Object.keys(schema)) if (keyword !== '$ref') delete schema[keyword];
  for (const [key, child] of Object.entries(schema)) {
    if (key === '$defs') for (const [definition, inner] of Object.entries(child as SchemaObject)) nameTypesByDefinition(inner, definition);
    else if (key === 'properties') for (const inner of Object.values(child as SchemaObject)) nameTypesByDefinition(inner);
    else if (key !== 'required' && key !== 'enum') nameTypesByDefinition(child);
  }
}

if (process.argv[1] !== undefined && import.meta.filename === process.argv[1]) {
  for (const [path, render] of Object.entries(generated)) await writeFile(new URL(path, root), await render());
}

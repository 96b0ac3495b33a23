/**
 * @file The schema compiled to a function ahead of time. Compiling costs 100 ms of every start and loading the result 10 ms [measured],
 * out of the 400 ms that `rlrun check` may take.
 */
import { Ajv2020 } from 'ajv/dist/2020.js';
import standalone from 'ajv/dist/standalone/index.js';

type Json = Record<string, unknown>;

/** What only people and editors read; `default` is filled in by our own code, which remembers that it did. */
const annotations = ['title', 'description', 'markdownDescription', 'examples', 'default', 'x-default', 'tsType', 'x-expected', 'x-suggest', 'x-hint'];
/** Below these stand names of keys, which may be called like a keyword. */
const maps = ['properties', 'patternProperties', '$defs'];

/** ajv writes `require` into modules as well, for a helper that counts characters. */
const header = `// @ts-nocheck
/* oxlint-disable */
// Generated from schemas/pipeline.schema.json by \`npm run generate\`.
import { createRequire } from 'node:module';
const require = createRequire(import.meta.url);
`;

export function renderValidator(schema: Json): string {
  // A test compiles the same schema in strict mode; messages are our own.
  const ajv = new Ajv2020({ allErrors: true, strict: false, strictNumbers: true, discriminator: true, ownProperties: true, messages: false, inlineRefs: false, code: { source: true, esm: true } });
  const code = standalone.default(ajv, ajv.compile(withoutAnnotations(schema) as Json));
  const body = code.replace(/^"use strict";/, '').replace(/export default \w+;/, '');
  return `${header}${body}\n`;
}

function withoutAnnotations(value: unknown, areNames = false): unknown {
  if (Array.isArray(value)) return value.map((item) => withoutAnnotations(item));
  if (value === null || typeof value !== 'object') return value;
  const entries = Object.entries(value).filter(([key]) => areNames || !annotations.includes(key));
  return Object.fromEntries(entries.map(([key, item]) => [key, withoutAnnotations(item, !areNames && maps.includes(key))]));
}

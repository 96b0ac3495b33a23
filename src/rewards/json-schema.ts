import { Ajv, type Options, type ValidateFunction } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';

export interface JsonCheck {
  schema: Readonly<Record<string, unknown>> | boolean;
  completion: string;
}

const OPTIONS: Options = { logger: false, allowUnionTypes: true, strictTypes: false, strictTuples: false, strictRequired: false, validateFormats: false };
const compiled = new Map<string, ValidateFunction>();

/** Compiles a JSON Schema of draft 2020-12, or of draft 7 or 6 if it says so. Throws what is wrong with it. */
export function compileSchema(schema: JsonCheck['schema']): ValidateFunction {
  const key = JSON.stringify(schema);
  const known = compiled.get(key);
  if (known) return known;
  const draft = typeof schema === 'object' ? String(schema['$schema'] ?? '') : '';
  const ajv = /draft-0[67]/.test(draft) ? new Ajv(OPTIONS) : new Ajv2020(OPTIONS);
  const { $schema: _draft, ...rest } = typeof schema === 'object' ? schema : {};
  const validate = ajv.compile(typeof schema === 'object' ? rest : schema);
  compiled.set(key, validate);
  return validate;
}

/** Null if the completion is JSON that fits the schema, else the first thing that does not. One Markdown fence around it is fine. */
export function checkJson({ schema, completion }: JsonCheck): string | null {
  const text = /^\s*```(?:json)?\s*\n([^]*?)\n\s*```\s*$/.exec(completion)?.[1] ?? completion;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return `not JSON: ${(error as Error).message.slice(0, 200)}`;
  }
  const validate = compileSchema(schema);
  if (validate(value)) return null;
  const [fault] = validate.errors!;
  return `${fault!.instancePath || 'the value'} ${fault!.message}`;
}

/** @file Schema errors, in the user's terms and at the user's place. */
import type { ErrorObject } from 'ajv';
import { meantSource } from '../util/meant-source.ts';
import { diagnose, type Diagnostic } from './diagnostics.ts';
import type { Location } from './source.ts';
import { lossPresets } from './loss-presets.ts';
import { validate as compiled } from './validator.generated.ts';
import { kindsWith, schemaAt, schemaFor, type Schema } from './schema.ts';
import { nearest, suggestKey, suggestValue } from './suggest.ts';
import { bare, describeValue, either, inline } from './values.ts';
import { child, formatPath, keyPlace, nearestPlace, nodeAt, toPlain, type ConfigNode, type Path } from './tree.ts';

/** ajv's calling convention: the errors of the last call are a property of the function. */
const check = compiled as unknown as { (data: unknown): boolean; errors: ErrorObject[] | null };

export interface Invalid {
  readonly diagnostic: Diagnostic;
  /** What has to go for the rest to be valid. */
  readonly path: Path;
}

/** Checks a whole pipeline against the schema. `fallback` is where problems go that nothing in the file stands for. */
export function validate(root: ConfigNode, fallback: Location): Invalid[] {
  if (check(toPlain(root))) return [];
  const errors = check.errors ?? [];
  // A value of the wrong type breaks the rules for the right one as well, which is not news.
  const mistyped = new Set(errors.filter(({ keyword }) => keyword === 'type').map(({ instancePath }) => instancePath));
  const news = errors.filter(({ keyword, instancePath }) => keyword === 'type' || !mistyped.has(instancePath));
  return news.flatMap((error) => explain(error, root, fallback) ?? []);
}

interface Problem {
  error: ErrorObject;
  root: ConfigNode;
  path: Path;
  /** `"train.learning_rate"`, or `the pipeline` at the root. */
  name: string;
  value: unknown;
  at: Location;
  /** The places of other keys and values. */
  keyAt: (path: Path) => Location;
  valueAt: (path: Path) => Location;
}

function explain(error: ErrorObject, root: ConfigNode, fallback: Location): Invalid | null {
  const rule = rules[error.keyword];
  if (rule === undefined) throw new Error(`no sentence for the schema keyword ${error.keyword}`);
  const path = pathOf(error.instancePath, root);
  const node = nodeAt(root, path);
  const valueAt = (p: Path): Location => nearestPlace(root, p) ?? fallback;
  const diagnostic = rule({
    error, root, path,
    name: path.length === 0 ? 'the pipeline' : `"${formatPath(path)}"`,
    value: node === undefined ? undefined : toPlain(node),
    at: valueAt(path),
    keyAt: (p) => keyPlace(root, p) ?? valueAt(p),
    valueAt,
  });
  const extra = error.keyword === 'additionalProperties' ? [String(error.params['additionalProperty'])] : [];
  return diagnostic === null ? null : { diagnostic, path: [...path, ...extra] };
}

/** JSON pointer → path; whether a part is an index is known from the tree only. */
function pathOf(pointer: string, root: ConfigNode): Path {
  let node: ConfigNode | undefined = root;
  return pointer.split('/').slice(1).map((escaped) => {
    const part = escaped.replaceAll('~1', '/').replaceAll('~0', '~');
    const key = node?.type === 'list' ? Number(part) : part;
    node = child(node, key);
    return key;
  });
}

/** One sentence per schema keyword; null where another keyword says it better. */
const rules: Readonly<Record<string, (problem: Problem) => Diagnostic | null>> = {
  additionalProperties: ({ error, root, path, keyAt }) => {
    const key = String(error.params['additionalProperty']);
    const siblings = Object.keys(schemaAt(root, path)?.properties ?? {});
    const present = nodeAt(root, path);
    const free = siblings.filter((s) => child(present, s) === undefined);
    return diagnose('unknown-key', `unknown key "${key}"${path.length === 0 ? '' : ` in "${formatPath(path)}"`}`, keyAt([...path, key]), {
      fix: suggestKey(key, { siblings: free, taken: siblings.filter((s) => !free.includes(s)), parent: path.filter((p) => typeof p === 'string').join('.'), kinds: kindsWith(root, path, key) }),
    });
  },
  required: ({ error, root, path, name, keyAt }) => {
    const key = String(error.params['missingProperty']);
    const example = schemaAt(root, [...path, key])?.examples?.[0];
    return diagnose('missing-key', `${name} needs "${key}"`, keyAt(path), { fix: example === undefined ? `add ${key}` : `for example ${key}: ${bare(example)}` });
  },
  type: ({ error, root, path, name, value, at }) => {
    const wanted = [error.params['type'] as string | string[]].flat();
    const schema = schemaAt(root, path);
    const expected = schema?.enum?.map(String) ?? schema?.['x-expected'] ?? wanted.map((type) => typeNames[type] ?? type);
    return diagnose('wrong-type', `${name} must be ${either([expected].flat())}, but this is ${describeValue(value)}`, at, { fix: typeHint(wanted, value, schema) });
  },
  enum: ({ error, name, value, at }) => unknownValue({ name, value, at, allowed: error.params['allowedValues'] as unknown[] }),
  discriminator: ({ error, root, path, name, keyAt, valueAt }) => {
    const tag = String(error.params['tag']);
    const value = error.params['tagValue'] as unknown;
    const allowed = tagsOf(root, path, tag);
    if (value === undefined) {
      const examples = schemaAt(root, path)?.examples;
      return diagnose('missing-key', `${name} needs "${tag}", which says what it is`, keyAt(path), { fix: `for example ${inline(examples?.[0] ?? { [tag]: allowed[0] })}` });
    }
    if (Object.hasOwn(lossPresets, String(value)) && formatPath(path).endsWith('train.loss')) {
      return diagnose('unknown-value', `${inline(value)} is a preset, not a kind`, valueAt([...path, tag]), { fix: `write loss: ${String(value)}` });
    }
    return unknownValue({ name: `"${formatPath([...path, tag])}"`, value, at: valueAt([...path, tag]), allowed });
  },
  const: () => null,
  if: () => null,
  minimum: (p) => outOfRange(p, `at least ${p.error.params['limit']}`),
  maximum: (p) => outOfRange(p, `at most ${p.error.params['limit']}`),
  exclusiveMinimum: (p) => outOfRange(p, `greater than ${p.error.params['limit']}`),
  exclusiveMaximum: (p) => outOfRange(p, `less than ${p.error.params['limit']}`),
  pattern: ({ error, root, path, name, value, at }) => {
    const schema = schemaAt(root, path);
    const isSource = formatPath(path) === 'model.fork';
    const meant = (text: string): string | undefined => nearest(text, schema?.['x-suggest'] ?? []) ?? (isSource ? meantSource(text) : null) ?? asSlug(text, error.params['pattern']);
    const suggestion = typeof value === 'string' ? meant(value) : undefined;
    return diagnose('wrong-form', `${name} must be ${schema?.['x-expected'] ?? 'of another form'}, but this is ${describeValue(value)}`, at, { fix: suggestion === undefined ? schema?.['x-hint'] : `did you mean "${suggestion}"?` });
  },
  minLength: ({ name, at }) => diagnose('wrong-length', `${name} must not be empty`, at),
  maxLength: ({ error, name, at }) => diagnose('wrong-length', `${name} must have at most ${error.params['limit']} characters`, at),
  minItems: ({ name, at }) => diagnose('wrong-length', `${name} must not be an empty list`, at),
  maxItems: ({ error, name, value, at }) => diagnose('wrong-length', `${name} must have at most ${error.params['limit']} entries, but this has ${(value as unknown[]).length}`, at),
  uniqueItems: ({ error, path, name, value, valueAt }) => {
    const [second, first] = [Number(error.params['i']), Number(error.params['j'])].sort((a, b) => b - a) as [number, number];
    return diagnose('repeated-item', `${name} names ${inline((value as unknown[])[second])} twice`, valueAt([...path, second]), {
      fix: 'keep one of them',
      related: [{ message: 'the first is here', at: valueAt([...path, first]) }],
    });
  },
};

function unknownValue({ name, value, at, allowed }: { name: string; value: unknown; at: Location; allowed: readonly unknown[] }): Diagnostic {
  const words = allowed.map(String);
  return diagnose('unknown-value', `${name} must be ${either(words)}, but this is ${describeValue(value)}`, at, { fix: typeof value === 'string' ? suggestValue(value, words) : undefined });
}

function outOfRange({ root, path, name, value, at }: Problem, bound: string): Diagnostic {
  return diagnose('out-of-range', `${name} must be ${bound}, but this is ${inline(value)}`, at, { fix: schemaAt(root, path)?.['x-hint'] });
}

/** `My Model` → `my-model`, where such a name is asked for. */
function asSlug(value: string, pattern: string): string | undefined {
  const slug = value.toLowerCase().replace(/[^a-z0-9._-]+/g, '-').replace(/^-+|-+$/g, '');
  return slug !== value && slug.length > 0 && slug.length <= 64 && new RegExp(pattern).test(slug) ? slug : undefined;
}

function tagsOf(root: ConfigNode, path: Path, tag: string): unknown[] {
  const union = schemaAt(root, path);
  return (union?.oneOf ?? []).map((branch) => schemaFor(branch).properties?.[tag]?.const);
}

/** A text where a map belongs is mostly the map's main value: `model: builtin:arith-tiny`, `reward: f1`. */
function spelledOut(wanted: readonly string[], value: string, schema: Schema | undefined): string | undefined {
  if (wanted.includes('array') && schema?.items !== undefined) {
    const item = spelledOut(['object'], value, schemaFor(schema.items));
    return item === undefined ? undefined : `[${item}]`;
  }
  const key = schema?.discriminator?.propertyName ?? (schema?.properties?.['kind'] === undefined ? schema?.required?.[0] : 'kind');
  if (key === undefined || !wanted.includes('object')) return undefined;
  const kinds = schema?.oneOf?.map((branch) => schemaFor(branch).properties?.[key]?.const) ?? schema?.properties?.[key]?.enum;
  return kinds === undefined || kinds.includes(value) ? `{ ${key}: ${bare(value)} }` : undefined;
}

const typeNames: Readonly<Record<string, string>> = {
  string: 'a text', number: 'a number', integer: 'a whole number', boolean: 'true or false', array: 'a list', object: 'a map', null: 'null',
};

function typeHint(wanted: readonly string[], value: unknown, schema: Schema | undefined): string | undefined {
  if (schema?.['x-hint'] !== undefined) return schema['x-hint'];
  if (value === null) return wanted.includes('object') ? 'remove it, or write {}' : 'remove it to get the default';
  if (wanted.includes('object') && Array.isArray(value)) return 'write its keys without "- "';
  const inFull = typeof value === 'string' ? spelledOut(wanted, value, schema) : undefined;
  if (inFull !== undefined) return `write ${inFull}`;
  const wantsNumber = wanted.includes('number') || wanted.includes('integer');
  if (wantsNumber && typeof value === 'string') {
    const text = value.trim();
    if (/^[+-]?[\d_]+(\.[\d_]+)?$/.test(text) && text.includes('_')) return `YAML numbers have no "_": write ${text.replaceAll('_', '')}`;
    if (/^[+-]?\d+,\d+$/.test(text)) return `write ${text.replace(',', '.')}`;
    if (text !== '' && Number.isFinite(Number(text))) return 'without the quotes it is a number';
  }
  if (wantsNumber && typeof value === 'number' && !Number.isFinite(value)) return 'write a finite number';
  if (wanted.includes('boolean') && typeof value === 'string' && /^(yes|on|y|no|off|n)$/i.test(value)) return `write ${/^(yes|on|y)$/i.test(value) ? 'true' : 'false'}`;
  if (wanted.includes('array') && typeof value === 'object') return 'put [ ] around it, or begin each entry with "- "';
  if (wanted.includes('array') && schema?.items?.type === 'string' && typeof value === 'string') return `write [${bare(value)}]`;
  if (wanted.includes('string') && (typeof value === 'number' || typeof value === 'boolean')) return `put quotes around it: "${value}"`;
  return undefined;
}

/** @file The JSON Schema as something to ask questions of: which keys belong here, what is their default, where else does a key live. */
import { readFileSync } from 'node:fs';
import { child, fromPlain, type ConfigNode, type Entry, type MapNode, type Path } from './tree.ts';

/** The keywords that the pipeline schema uses, as far as anything here looks at them. */
export interface Schema {
  readonly $ref?: string;
  readonly $defs?: Readonly<Record<string, Schema>>;
  readonly title?: string;
  readonly markdownDescription?: string;
  readonly type?: string | readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly default?: unknown;
  /** A default of null: yaml-language-server ends its completions at the first `default: null` that it meets. */
  readonly 'x-default'?: null;
  readonly examples?: readonly unknown[];
  readonly discriminator?: { readonly propertyName: string };
  readonly oneOf?: readonly Schema[];
  readonly allOf?: readonly Schema[];
  readonly if?: Schema;
  readonly then?: Schema;
  readonly else?: Schema;
  readonly 'x-expected'?: string;
  readonly 'x-suggest'?: readonly string[];
  readonly 'x-hint'?: string;
}

let loaded: Schema | undefined;
/** The shipped schema. Read once, at first use, so that importing this room costs nothing. */
export function pipelineSchema(): Schema {
  loaded ??= JSON.parse(readFileSync(new URL('../../schemas/pipeline.schema.json', import.meta.url), 'utf8')) as Schema;
  return loaded;
}

/** Follows `$ref` and, where `node` decides it, the branch of a union: the schema that really applies to this value. */
export function schemaFor(schema: Schema, node?: ConfigNode): Schema {
  if (schema.$ref !== undefined) {
    const name = schema.$ref.replace('#/$defs/', '');
    const target = pipelineSchema().$defs?.[name];
    if (target === undefined) throw new Error(`the pipeline schema has no definition ${name}`);
    const { $ref: _, ...siblings } = schema;
    return schemaFor({ ...target, ...siblings }, node);
  }
  if (schema.if?.type === 'string' && schema.else !== undefined && schema.then !== undefined) {
    if (node !== undefined) return schemaFor(node.type === 'scalar' ? schema.then : schema.else, node);
  }
  if (schema.oneOf !== undefined && schema.discriminator !== undefined) {
    const tag = child(node, schema.discriminator.propertyName);
    const branch = schema.oneOf.map((b) => schemaFor(b)).find((b) => tag?.type === 'scalar' && b.properties?.[schema.discriminator!.propertyName]?.const === tag.value);
    return branch ?? schema;
  }
  return schema.allOf === undefined ? schema : { ...schema, properties: { ...schema.properties, ...conditionalProperties(schema.allOf, node) } };
}

/** `if: { properties: { source: { const } } } then: { properties }`: what a taskset's source says about its `args`. */
function conditionalProperties(rules: readonly Schema[], node: ConfigNode | undefined): Record<string, Schema> {
  const found: Record<string, Schema> = {};
  for (const rule of rules) {
    const conditions = Object.entries(rule.if?.properties ?? {});
    const holds = conditions.every(([key, condition]) => {
      const value = child(node, key);
      return value?.type === 'scalar' && value.value === condition.const;
    });
    if (holds) Object.assign(found, rule.then?.properties);
  }
  return found;
}

/** The schema of the value at `path`, given the tree it is in; undefined where the schema says nothing. */
export function schemaAt(root: ConfigNode, path: Path): Schema | undefined {
  let [schema, node]: [Schema | undefined, ConfigNode | undefined] = [schemaFor(pipelineSchema(), root), root];
  for (const part of path) {
    node = child(node, part);
    const next: Schema | undefined = typeof part === 'number' ? schema?.items : schema?.properties?.[part];
    schema = next === undefined ? undefined : schemaFor(next, node);
  }
  return schema;
}

/** Other kinds of the union at `path` that do have this key: `['kind: numeric_match']`. */
export function kindsWith(root: ConfigNode, path: Path, key: string): string[] {
  const last = path.at(-1);
  const parent = last === undefined ? undefined : schemaAt(root, path.slice(0, -1));
  const property = typeof last === 'number' ? parent?.items : parent?.properties?.[last ?? ''];
  if (property === undefined) return [];
  const union = schemaFor(property);
  const { oneOf = [], discriminator } = union.else === undefined ? union : schemaFor(union.else);
  if (discriminator === undefined) return [];
  const tag = discriminator.propertyName;
  return oneOf.map((branch) => schemaFor(branch).properties ?? {}).filter((properties) => Object.hasOwn(properties, key)).map((properties) => `${tag}: ${String(properties[tag]?.const)}`);
}

/** Adds what the schema has a default for and the user left out. Sections that are objects are filled from within. */
export function fillDefaults(node: ConfigNode, schema: Schema): ConfigNode {
  const applied = schemaFor(schema, node);
  if (node.type === 'list' && applied.items !== undefined) return { ...node, items: node.items.map((item) => fillDefaults(item, applied.items!)) };
  if (node.type !== 'map' || applied.properties === undefined) return node;
  const entries = new Map<string, Entry>();
  for (const [key, property] of Object.entries(applied.properties)) {
    const entry = node.entries.get(key);
    const value = entry?.value ?? defaultOf(property);
    if (value !== undefined) entries.set(key, { key: entry?.key ?? null, value: fillDefaults(value, property) });
  }
  // Keys that the schema leaves free (the args of a module) follow in the user's order.
  for (const [key, entry] of node.entries) if (!entries.has(key)) entries.set(key, entry);
  return { ...node, entries } satisfies MapNode;
}

function defaultOf(property: Schema): ConfigNode | undefined {
  const schema = schemaFor(property);
  const value = schema.default ?? schema['x-default'];
  if (value !== undefined) return fromPlain(value, { kind: 'default' });
  const isSection = schema.properties !== undefined && schema.required === undefined;
  return isSection ? fromPlain({}, { kind: 'default' }) : undefined;
}

/** Where every key of the schema lives, for hints about a right key at a wrong level: `group` → `['group']`, `warmup` → `['train.schedule.warmup']`. */
export function keyPlaces(): ReadonlyMap<string, readonly string[]> {
  places ??= collectPlaces();
  return places;
}

let places: ReadonlyMap<string, readonly string[]> | undefined;

function collectPlaces(): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, string[]>();
  const visit = (schema: Schema, path: string, depth: number): void => {
    if (depth > 6) return;
    const applied = schemaFor(schema);
    for (const [key, property] of Object.entries(applied.properties ?? {})) {
      const here = path === '' ? key : `${path}.${key}`;
      const known = found.get(key) ?? [];
      if (!known.includes(here)) found.set(key, [...known, here]);
      visit(property, here, depth + 1);
    }
    // Stages repeat the top level, so their keys would only hide the better place.
    if (path !== 'steps' && applied.items !== undefined) visit(applied.items, path, depth + 1);
    for (const branch of applied.oneOf ?? []) visit(branch, path, depth + 1);
    for (const branch of [applied.then, applied.else]) if (branch !== undefined) visit(branch, path, depth + 1);
    for (const rule of applied.allOf ?? []) if (rule.then !== undefined) visit(rule.then, path, depth + 1);
  };
  visit(pipelineSchema(), '', 0);
  return new Map([...found].map(([key, paths]) => [key, paths.sort((a, b) => a.split('.').length - b.split('.').length)]));
}

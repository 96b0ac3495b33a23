/** @file `${env:NAME}` and `${env:NAME:-default}` inside texts. */
import { parse } from 'yaml';
import { diagnose, type Diagnostic } from './diagnostics.ts';
import type { Location } from './source.ts';
import type { Origin, ScalarNode } from './tree.ts';

export interface ExpandOptions {
  at: Location;
  origin: Origin;
  env: Readonly<Record<string, string | undefined>>;
  report: (diagnostic: Diagnostic) => void;
}

/** `$${env:` stands for itself; `${env:` must be a whole reference; `${` before anything else is plain text. */
const reference = /\$\$\{env:|\$\{env:([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}|\$\{(env\b[^}]*)\}?/g;

/**
 * A text that is one reference and nothing else takes the YAML type of the variable, so that `"${env:STEPS}"` can be a number;
 * a reference inside a longer text is inserted as text.
 */
export function expandVariables(text: string, { at, origin, env, report }: ExpandOptions): ScalarNode {
  if (!text.includes('${env')) return { type: 'scalar', value: text, origin };
  const names: string[] = [];
  const texts = new Map<string, string>();
  const expanded = text.replace(reference, (whole, name: string | undefined, fallback: string | undefined) => {
    if (whole === '$${env:') return '${env:';
    if (name === undefined) {
      report(diagnose('bad-variable', `"${whole}" is not a reference to an environment variable`, at, { fix: 'write ${env:NAME} or ${env:NAME:-default}' }));
      return '';
    }
    names.push(name);
    // As in a shell, ":-" also replaces an empty variable.
    const value = env[name] || fallback || env[name];
    if (value === undefined && fallback === undefined) {
      report(diagnose('unknown-variable', `the environment variable ${name} is not set`, at, { fix: `set it, or give a default: \${env:${name}:-…}` }));
    }
    if (env[name]) texts.set(env[name], `\${env:${name}}`);
    return value ?? '';
  });
  // Read again, what is told has to be what was written, with the doubled sign of a `${env:` that stands for itself.
  const secret = { shown: text, texts };
  if (names.length === 0) return { type: 'scalar', value: expanded, origin, secret };
  const isWhole = names.length === 1 && text.replace(reference, '') === '';
  return { type: 'scalar', value: isWhole ? typed(expanded) : expanded, origin: { kind: 'env', at, variable: names.join(', ') }, secret };
}

function typed(text: string): string | number | boolean {
  try {
    const value: unknown = parse(text, { logLevel: 'silent' });
    return typeof value === 'number' || typeof value === 'boolean' ? value : text;
  } catch {
    return text;
  }
}

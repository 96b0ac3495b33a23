/**
 * @file Arithmetic of symbolic dimensions.
 *
 * A dimension is a number or a polynomial with integer coefficients over names, kept in one canonical spelling
 * (`2*batch_size*heads + 1`), so that two dimensions are equal exactly when their spellings are.
 */
import type { Dim } from './ir.ts';

/** Monomial (sorted factors joined by `*`, '' for the constant term) → coefficient. */
type Polynomial = Map<string, number>;

/** Products of longer sums get a name of their own: real sizes have a few terms, and products of products grow without bound. */
const MAX_TERMS = 64;

function parse(dim: Dim): Polynomial {
  if (typeof dim === 'number') return new Map([['', dim]]);
  const sum: Polynomial = new Map();
  for (const term of dim.split(' + ')) {
    const factors = term.split('*');
    const first = Number(factors[0]);
    const hasCoefficient = factors[0] !== '' && Number.isInteger(first);
    const monomial = (hasCoefficient ? factors.slice(1) : factors).toSorted().join('*');
    sum.set(monomial, (sum.get(monomial) ?? 0) + (hasCoefficient ? first : 1));
  }
  return sum;
}

function print(polynomial: Polynomial): Dim {
  const terms = [...polynomial].filter(([, coefficient]) => coefficient !== 0).toSorted(([a], [b]) => (a === '' ? 1 : b === '' ? -1 : a < b ? -1 : 1));
  if (terms.length === 0) return 0;
  if (terms.length === 1 && terms[0]![0] === '') return terms[0]![1];
  return terms.map(([monomial, coefficient]) => (monomial === '' ? `${coefficient}` : coefficient === 1 ? monomial : `${coefficient}*${monomial}`)).join(' + ');
}

/** Exporters use names such as `past_sequence_length + 1`; anything that is no polynomial becomes one opaque name. */
export function dimFromName(name: string): Dim {
  const spaced = name.replaceAll(/\s*([+*])\s*/g, (_, sign: string) => (sign === '+' ? ' + ' : '*')).trim();
  const isPolynomial = /^[\w.:\-/]+((\*| \+ )[\w.:\-/]+)*$/.test(spaced) && spaced.split(' + ').length <= MAX_TERMS;
  return isPolynomial ? print(parse(spaced)) : spaced.replaceAll(/[+*\s]/g, '_');
}

export function addDims(a: Dim, b: Dim): Dim {
  if (typeof a === 'number' && typeof b === 'number') return a + b;
  const sum = parse(a);
  for (const [monomial, coefficient] of parse(b)) sum.set(monomial, (sum.get(monomial) ?? 0) + coefficient);
  return print(sum);
}

export function multiplyDims(a: Dim, b: Dim): Dim {
  if (typeof a === 'number' && typeof b === 'number') return a * b;
  const left = parse(a), right = parse(b);
  if (left.size * right.size > MAX_TERMS) return opaqueDim('product', ...[a, b].toSorted());
  const product: Polynomial = new Map();
  for (const [x, cx] of left) {
    for (const [y, cy] of right) {
      const monomial = [...x.split('*'), ...y.split('*')].filter((name) => name !== '').toSorted().join('*');
      product.set(monomial, (product.get(monomial) ?? 0) + cx * cy);
    }
  }
  return print(product);
}

/** The dimension with names replaced by what is known of them. */
export function substituteDim(dim: Dim, values: ReadonlyMap<string, Dim>): Dim {
  if (typeof dim === 'number') return dim;
  let sum: Dim = 0;
  for (const [monomial, coefficient] of parse(dim)) {
    const factors = monomial === '' ? [] : monomial.split('*').map((name) => values.get(name) ?? name);
    sum = addDims(sum, factors.reduce<Dim>(multiplyDims, coefficient));
  }
  return sum;
}

/** A sum of names and a number as its terms; null when it multiplies names. */
export function linearTerms(dim: Dim): { names: readonly (readonly [name: string, times: number])[]; constant: number } | null {
  const terms = [...parse(dim)];
  if (terms.some(([monomial]) => monomial.includes('*'))) return null;
  return { names: terms.filter(([monomial]) => monomial !== ''), constant: terms.find(([monomial]) => monomial === '')?.[1] ?? 0 };
}

export const negateDim = (a: Dim): Dim => multiplyDims(a, -1);
export const subtractDims = (a: Dim, b: Dim): Dim => addDims(a, negateDim(b));
export const productOf = (dims: readonly Dim[]): Dim => dims.reduce<Dim>(multiplyDims, 1);

/** a / b where it divides exactly and b is a single term; otherwise null. */
export function divideDims(a: Dim, b: Dim): Dim | null {
  if (a === b) return 1;
  if (typeof a === 'number' && typeof b === 'number') return b !== 0 && a % b === 0 ? a / b : null;
  const divisor = [...parse(b)];
  if (divisor.length !== 1) return null;
  const [monomial, coefficient] = divisor[0]!;
  if (coefficient === 0) return null;
  const quotient: Polynomial = new Map();
  for (const [term, value] of parse(a)) {
    const factors = term === '' ? [] : term.split('*');
    for (const name of monomial === '' ? [] : monomial.split('*')) {
      const at = factors.indexOf(name);
      if (at < 0) return null;
      factors.splice(at, 1);
    }
    if (value % coefficient !== 0) return null;
    quotient.set(factors.join('*'), value / coefficient);
  }
  return print(quotient);
}

/** Below zero whatever the names stand for: counted from the end, as `x[-length:]` is. */
export const isNegativeDim = (dim: Dim): boolean => [...parse(dim)].every(([, coefficient]) => coefficient < 0);

/**
 * A name for something that cannot be expressed; equal inputs give equal names, so equality survives. Names of names would
 * grow without bound, layer by layer: long ones are cut down to their hash.
 */
export function opaqueDim(what: string, ...parts: readonly Dim[]): Dim {
  const of = parts.map((part) => String(part).replaceAll(' + ', '_plus_').replaceAll('*', '_times_')).join(',');
  return of.length <= 96 ? `${what}(${of})` : `${what}(#${hash(of, 0x811c9dc5)}${hash(of, 0x9e3779b9)})`;
}

/** FNV-1a from a given start. */
function hash(text: string, start: number): string {
  let state = start;
  for (let at = 0; at < text.length; at++) state = Math.imul(state ^ text.charCodeAt(at), 0x01000193);
  return (state >>> 0).toString(36);
}

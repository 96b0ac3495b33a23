/** @file Einsum equations: parsing, and the output's shape. */
import { OnnxError, describeNode, stringAttribute, type Dim, type Node } from '../ir.ts';
import { broadcastDim, fail, input, shapeOf, type Inferred, type ShapeContext } from './context.ts';

export interface Einsum {
  readonly terms: readonly string[];
  readonly result: string;
}

/**
 * `bhqd, bhkd -> bhqk` → its terms; the implicit form gets its alphabetical result. The axes under an ellipsis get letters of their own, which
 * needs the ranks of the operands: they are counted from the right, as broadcasting counts them.
 */
export function parseEinsum(node: Node, ranks: readonly number[]): Einsum {
  const equation = stringAttribute(node, 'equation', '').replaceAll(' ', '');
  const [left = '', right] = equation.split('->');
  const terms = left.split(',');
  const letters = [...left.replaceAll(/[,.]/g, '')];
  const implicit = [...new Set(letters)].filter((letter) => letters.indexOf(letter) === letters.lastIndexOf(letter)).toSorted().join('');
  const covered = terms.map((term, index) => (term.includes(ellipsis) ? Math.max(0, (ranks[index] ?? 0) - (term.length - ellipsis.length)) : 0));
  const free = [...alphabet].filter((letter) => !equation.includes(letter));
  const widest = Math.max(...covered);
  if (widest > free.length) throw new OnnxError(`${describeNode(node)}: more axes than there are letters in "${equation}"`);
  const spelled = (term: string, count: number): string => term.replace(ellipsis, free.slice(widest - count, widest).join(''));
  return { terms: terms.map((term, index) => spelled(term, covered[index]!)), result: spelled(right ?? (left.includes(ellipsis) ? ellipsis : '') + implicit, widest) };
}

const ellipsis = '...';
const alphabet = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';

export function einsumShape(c: ShapeContext): Inferred {
  const { terms, result } = parseEinsum(c.node, c.inputs.map((value) => value?.shape?.length ?? 0));
  const dims = new Map<string, Dim>();
  terms.forEach((term, index) => {
    const shape = shapeOf(c, index);
    if (shape.length !== term.length) fail(c, `term "${term}" does not fit rank ${shape.length}`);
    [...term].forEach((letter, axis) => {
      const before = dims.get(letter);
      dims.set(letter, before === undefined ? shape[axis]! : broadcastDim(before, shape[axis]!) ?? fail(c, `axis "${letter}" is ${before} and ${shape[axis]}`));
    });
  });
  return { dataType: input(c, 0).dataType, shape: [...result].map((letter) => dims.get(letter) ?? fail(c, `"${letter}" stands only in the result`)) };
}

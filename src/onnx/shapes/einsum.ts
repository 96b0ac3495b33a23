/** @file Einsum equations: parsing, and the output's shape. */
import { OnnxError, describeNode, stringAttribute, type Dim, type Node } from '../ir.ts';
import { broadcastDim, fail, input, shapeOf, type Inferred, type ShapeContext } from './context.ts';

export interface Einsum {
  readonly terms: readonly string[];
  readonly result: string;
}

/** `bhqd, bhkd -> bhqk` → its terms; the implicit form gets its alphabetical result. No ellipsis. */
export function parseEinsum(node: Node): Einsum {
  const equation = stringAttribute(node, 'equation', '').replaceAll(' ', '');
  if (equation.includes('.')) throw new OnnxError(`${describeNode(node)}: an ellipsis in "${equation}" is not supported; spell the axes out`);
  const [left = '', right] = equation.split('->');
  const terms = left.split(',');
  const letters = [...left.replaceAll(',', '')];
  const implicit = [...new Set(letters)].filter((letter) => letters.indexOf(letter) === letters.lastIndexOf(letter)).toSorted().join('');
  return { terms, result: right ?? implicit };
}

export function einsumShape(c: ShapeContext): Inferred {
  const { terms, result } = parseEinsum(c.node);
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

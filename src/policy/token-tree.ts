/**
 * @file Texts with common beginnings as one row of a batch: a tree whose tokens see nothing but their ancestors.
 *
 * The rollouts of a group share their prompt, and often more. Laid out as a tree, every common token is computed once, forward and
 * backward; gradients of its readers add up, as they must.
 *
 * ```
 *   texts    1 + 2 = 3 .      1 + 2 = 3 0      1 + 2 = 4
 *   row      1 + 2 = 3 . 0 4          positions 0 1 2 3 4 5 5 4
 *   parents  · 0 1 2 3 4 4 3          (columns)
 * ```
 */

export interface TokenTree {
  /** By column; a token stands behind all its ancestors. */
  readonly tokenIds: number[];
  /** Column of the token before; −1 for a first one. */
  readonly parents: number[];
  /** Place in its text: the position that the model is told. */
  readonly positions: number[];
  /** Column → its next tokens → their columns; at −1 the first ones. */
  readonly children: Map<number, Map<number, number>>;
}

export const emptyTree = (): TokenTree => ({ tokenIds: [], parents: [], positions: [], children: new Map() });

/** How many tokens a text begins with that are in the tree already. */
export function sharedLength({ children }: TokenTree, text: readonly number[]): number {
  let column = -1, length = 0;
  for (const token of text) {
    const next = children.get(column)?.get(token);
    if (next === undefined) break;
    column = next;
    length += 1;
  }
  return length;
}

/** Adds a text and returns the column of each of its tokens. */
export function addText(tree: TokenTree, text: readonly number[]): number[] {
  let column = -1;
  return text.map((token, position) => {
    let next = tree.children.get(column);
    if (next === undefined) tree.children.set(column, (next = new Map()));
    let found = next.get(token);
    if (found === undefined) {
      found = tree.tokenIds.push(token) - 1;
      tree.parents.push(column);
      tree.positions.push(position);
      next.set(token, found);
    }
    return (column = found);
  });
}

/** Is it no more than a single text? */
export const isPath = ({ parents }: TokenTree): boolean => parents.every((parent, column) => parent === column - 1);

/** What is added to a score that must not count. */
const UNSEEN = -1e9;

/** float32 (trees, 1, width, width), flat: 0 where a query (third axis) may see a key, and everywhere in padding. */
export function attentionBias(trees: readonly TokenTree[], width: number): Float32Array {
  const bias = new Float32Array(trees.length * width * width);
  trees.forEach(({ parents }, row) => {
    parents.forEach((_, query) => {
      const start = (row * width + query) * width;
      bias.fill(UNSEEN, start, start + query);
      for (let seen = query; seen >= 0; seen = parents[seen]!) bias[start + seen] = 0;
    });
  });
  return bias;
}

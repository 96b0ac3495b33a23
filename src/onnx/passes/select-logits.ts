/** @file Logits only where someone wants them: the head is the widest product of a language model. */
import { Builder, requireCurrentOpset, type Value } from '../builder.ts';
import { MICROSOFT, OnnxError, describeNode, intAttribute, type Model, type Node, type Shape } from '../ir.ts';
import { inferTypes, type Types } from '../shapes/infer.ts';
import { producersOf } from './graph.ts';
import { removeDeadNodes } from './rewrite.ts';

/** Operators that make one row of logits from one row: they may run after rows were chosen. */
const ROWWISE = new Set(['Cast', 'Identity', 'Tanh', 'Clip', 'Mul', 'Div', 'Add', 'Sub']);
/** Normalisations over the last axis, which may stand between a choice of positions and the head. */
const NORMS = new Set(['SimplifiedLayerNormalization', 'LayerNormalization', 'RMSNormalization']);
/** The products that can be a head, with the input that is a matrix of weights. */
const HEADS: Readonly<Record<string, number>> = { '.MatMul': 1, '.Gemm': 1, [`${MICROSOFT}.FusedMatMul`]: 1, [`${MICROSOFT}.MatMulNBits`]: 1 };

interface Head {
  /** The product itself. */
  readonly product: Node;
  /** From hidden states to the output, in order; `row` is the input that carries the rows. */
  readonly path: readonly Step[];
  /** [batch, sequence, hidden] */
  readonly hidden: string;
}

interface Step {
  readonly node: Node;
  readonly row: number;
}

/**
 * Computes logits at chosen positions only: adds an input `logit_positions` [N], flat indices into batch·sequence, and makes
 * the output [N, V]. What stands between the head and the output (softcap, bias, Cast) runs on the chosen rows as well; a
 * selection that the exporter made (`num_logits_to_keep`, only the last token) is undone first.
 *
 * @throws OnnxError when the head cannot be found: the message names the node where the search stopped.
 */
export function selectLogits(model: Model, { output = 'logits', input = 'logit_positions', dataType = 'int64', rows: count = 'logits' }: { output?: string; input?: string; dataType?: 'int32' | 'int64'; /** What the graph calls N. */ rows?: string } = {}): Model {
  const info = model.outputs.find(({ name }) => name === output);
  if (info === undefined) throw new OnnxError(`the model has no output "${output}"; it has ${model.outputs.map(({ name }) => `"${name}"`).join(', ')}`);
  requireCurrentOpset(model);
  const { path, hidden } = findHead(model, output);

  // Everything but the path, which is written anew under its old names; what other outputs need of it stays as well.
  const others = model.outputs.filter(({ name }) => name !== output);
  const carried = new Set([hidden, ...path.map(({ node }) => node.outputs[0]!)]);
  const operands = path.filter(({ node }) => !isLayout(node)).flatMap(({ node }) => node.inputs.filter((name) => name !== '' && !carried.has(name)));
  const ends = [...new Set([hidden, ...operands])].map((name) => ({ name, dataType: 'float32' as const, shape: null }));
  const base = removeDeadNodes({ ...model, outputs: [...others, ...ends] });
  const taken = new Set(base.nodes.flatMap(({ name, outputs }) => [name, ...outputs]));
  const b = new Builder(taken.has(output) ? without(base, output) : base);

  const positions = b.input(input, dataType, [count]);
  const from = b.value(hidden);
  const width = from.shape!.at(-1)!;
  const chosen: Value = b.within('logits', () => b.gather(b.reshape(from, typeof width === 'number' ? [-1, width] : rowsShape(b, from)), positions));
  /** Values on the path → the same at the chosen positions. */
  const rowsOf = new Map([[hidden, chosen.name]]);
  const last = path.findLast(({ node }) => !isLayout(node))!.node;
  for (const { node, row } of path) {
    const [made] = node.outputs as [string];
    if (isLayout(node)) {
      rowsOf.set(made, rowsOf.get(node.inputs[row]!)!);
      continue;
    }
    const [rows] = b.append({
      ...node,
      name: taken.has(node.name) ? `${node.name}/logits` : node.name,
      inputs: node.inputs.map((name) => rowsOf.get(name) ?? name),
      outputs: [node === last ? output : taken.has(made) ? `${made}/logits` : made],
    }) as [Value];
    rowsOf.set(made, rows.name);
  }
  for (const { name } of model.outputs) b.output(name, b.value(name));
  const built = b.build();
  const used = new Set(built.nodes.flatMap(({ inputs }) => inputs));
  return {
    ...built,
    valueInfo: new Map([...model.valueInfo].filter(([name]) => !path.some(({ node }) => node.outputs.includes(name)))),
    // An exporter's own choice of positions has nothing to choose any more.
    inputs: built.inputs.filter(({ name }) => !name.endsWith('logits_to_keep') || used.has(name)),
    outputs: built.outputs.map((each) => others.find(({ name }) => name === each.name) ?? each),
  };
}

const rowsShape = (b: Builder, hidden: Value): Value => b.concat([b.int64([-1]), b.shape(hidden, { start: -1 })], 0);

/** `logits` may feed another output; that one goes on from the full logits, under another name. */
function without(model: Model, name: string): Model {
  const swap = (each: string): string => (each === name ? `${name}/all` : each);
  return { ...model, nodes: model.nodes.map((node) => ({ ...node, inputs: node.inputs.map(swap), outputs: node.outputs.map(swap) })) };
}

/** The node that makes the logits from hidden states, or undefined when none can be told. */
export function headNode(model: Model, output = 'logits'): Node | undefined {
  if (!model.outputs.some(({ name }) => name === output)) return undefined;
  try {
    return findHead(model, output).product;
  } catch (error) {
    if (error instanceof OnnxError) return undefined;
    throw error;
  }
}

const isHead = (node: Node): boolean => `${node.domain}.${node.op}` in HEADS;

/**
 * Backwards from the output through row by row work to the head, then on to hidden states [batch, sequence, hidden]: the
 * nearest ones, or those behind a choice of positions, as far as a norm may stand between.
 */
function findHead(model: Model, output: string): Head {
  const producers = producersOf(model), types = inferTypes(model), fed = dependentOn(model);
  const path: Step[] = [];
  /** What adapters add to the head's product. */
  const branches: string[] = [];
  let name = output, product: Node | undefined, found: Head | undefined;
  for (;;) {
    const node = producers.get(name), chosen = node !== undefined && choosesPositions(node, types);
    if (product !== undefined && types.get(name)?.shape?.length === 3 && found === undefined && !chosen) found = { product, path: path.toReversed(), hidden: name };
    const row = node === undefined ? undefined : product === undefined && isSumOfRows(node, fed) ? 0 : rowInput(node, types, fed, product !== undefined);
    if (node === undefined || row === undefined) {
      if (found === undefined) throw notFound(output, name, node, product !== undefined);
      return found;
    }
    path.push({ node, row });
    name = node.inputs[row]!;
    if (product === undefined && isSumOfRows(node, fed)) branches.push(node.inputs[1]!);
    if (isHead(node)) {
      product = node;
      path.push(...branches.flatMap((branch) => branchFrom(name, branch, { output, producers, types, fed })));
    }
    if (product !== undefined && chosen) found = { product, path: path.toReversed(), hidden: name };
  }
}

/** base + delta, as an adapter makes it: both come from the rows. */
const isSumOfRows = ({ op, domain, inputs }: Node, fed: ReadonlySet<string>): boolean => op === 'Add' && domain === '' && inputs.every((name) => fed.has(name));

/** Backwards from what is added to the product, through products with weights and numbers, to the rows that the head reads. */
function branchFrom(rows: string, branch: string, { output, producers, types, fed }: { output: string; producers: ReadonlyMap<string, Node>; types: Types; fed: ReadonlySet<string> }): Step[] {
  const steps: Step[] = [];
  for (let name = branch; name !== rows; ) {
    const node = producers.get(name), row = node === undefined ? undefined : rowInput(node, types, fed, false);
    if (node === undefined || row === undefined) throw notFound(output, name, node, false);
    steps.push({ node, row });
    name = node.inputs[row]!;
  }
  return steps;
}

function notFound(output: string, name: string, node: Node | undefined, headFound: boolean): OnnxError {
  const stop = node === undefined ? `"${name}", which no node makes` : describeNode(node);
  const wanted = headFound ? 'hidden states of shape [batch, sequence, hidden] behind the head' : 'a MatMul, Gemm or MatMulNBits with a matrix of weights';
  return new OnnxError(`cannot find the head that makes "${output}": expected ${wanted}, but came to ${stop}`);
}

/** Values that depend on what is fed, as opposed to weights and what is computed from them. Float inputs of rank ≤ 2 are weights. */
export function dependentOn(model: Model): ReadonlySet<string> {
  const fed = new Set(model.inputs.filter(({ dataType, shape }) => !dataType.startsWith('float') || shape?.some((dim) => typeof dim === 'string') === true).map(({ name }) => name));
  for (const node of model.nodes) {
    if (node.inputs.some((name) => fed.has(name))) for (const name of node.outputs) fed.add(name);
  }
  return fed;
}

/** Reshape and the exporter's own selection: nothing of them is left once rows are chosen. */
const isLayout = (node: Node): boolean => node.domain === '' && (node.op === 'Reshape' || node.op === 'Slice' || node.op === 'Gather' || node.op === 'GatherND' || node.op === 'Squeeze' || node.op === 'Unsqueeze');

/** Chooses among positions: works on axis 1 of [batch, sequence, …]. */
function choosesPositions(node: Node, types: Types): boolean {
  const rank = types.get(node.inputs[0]!)?.shape?.length;
  if (node.domain !== '' || rank !== 3) return false;
  if (node.op === 'Gather') return intAttribute(node, 'axis', 0) === 1;
  if (node.op !== 'Slice') return false;
  const axes = types.get(node.inputs[3] ?? '')?.content;
  return axes?.length === 1 && (axes[0] === 1 || axes[0] === -2);
}

/** The input through which the rows come; undefined when the node does more than work on rows. */
function rowInput(node: Node, types: Types, fed: ReadonlySet<string>, headFound: boolean): number | undefined {
  const rank = (index: number): number => types.get(node.inputs[index] ?? '')?.shape?.length ?? Infinity;
  const weights = HEADS[`${node.domain}.${node.op}`];
  if (weights !== undefined) {
    if (headFound || fed.has(node.inputs[weights]!) || rank(weights) > 3 || intAttribute(node, 'transA', 0) === 1) return undefined;
    return fed.has(node.inputs[0]!) ? 0 : undefined;
  }
  if (isLayout(node)) return keepsRows(node, types) ? 0 : undefined;
  if (node.domain !== '') return undefined;
  if (node.op === 'Cast' || node.op === 'Identity') return 0;
  if (headFound) return NORMS.has(node.op) && [-1, 2].includes(intAttribute(node, 'axis', -1)) && node.outputs.slice(1).every((name) => name === '') ? 0 : undefined;
  if (!ROWWISE.has(node.op)) return undefined;
  const row = node.inputs.findIndex((name) => fed.has(name));
  // The other operand must fit any number of rows: a number, or one value per word.
  return row >= 0 && node.inputs.every((name, index) => index === row || name === '' || (!fed.has(name) && rank(index) <= 1)) ? row : undefined;
}

/** A change of layout that keeps each row whole, or a choice among positions. */
function keepsRows(node: Node, types: Types): boolean {
  if (choosesPositions(node, types)) return true;
  const from = types.get(node.inputs[0]!)?.shape as Shape | undefined, to = types.get(node.outputs[0]!)?.shape as Shape | undefined;
  return (node.op === 'Reshape' || node.op === 'Squeeze' || node.op === 'Unsqueeze') && from != null && to != null && from.at(-1) === to.at(-1);
}

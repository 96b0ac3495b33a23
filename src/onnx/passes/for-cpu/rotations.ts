/**
 * @file Halves of channels turned by an angle, as one RotaryEmbedding instead of a Split, four products, two sums and a Concat.
 *
 * Found in the finished graph, so that the gradient, which turns back, is found like the rotation itself.
 */
import { dimsOf, type Builder, type Value } from '../../builder.ts';
import { MICROSOFT, intAttribute, type Model, type Node } from '../../ir.ts';
import { producersOf } from '../graph.ts';
import { removeDeadNodes, rewriteNodes } from '../rewrite.ts';

/** ±half·table, where the half is an output of the Split. */
interface Term { readonly sign: number; readonly half: string; readonly table: string }

interface Rotation { readonly x: string; readonly cos: string; readonly sin: string; readonly sign: number }

export function rotations(model: Model): Model {
  const producers = producersOf(model);
  const found = new Map(model.nodes.flatMap((node) => { const rotation = rotationOf(node, producers); return rotation === null ? [] : [[node, rotation] as const]; }));
  if (found.size === 0) return model;
  const tables = new Tables();
  return removeDeadNodes(rewriteNodes(model, (node) => {
    const rotation = found.get(node);
    return rotation === undefined ? undefined : ({ b }) => turned(b, rotation, tables);
  }));
}

/** [l·c − r·s, r·c + l·s] turns forwards, [l·c + r·s, r·c − l·s] back. */
function rotationOf(concat: Node, producers: ReadonlyMap<string, Node>): Rotation | null {
  if (concat.op !== 'Concat' || concat.domain !== '' || concat.inputs.length !== 2 || ![3, -1].includes(intAttribute(concat, 'axis', 0))) return null;
  const [first, second] = concat.inputs.map((name) => terms(name, 1, producers));
  const split = producers.get(first?.[0]?.half ?? '');
  if (split?.op !== 'Split' || split.domain !== '' || split.outputs.length !== 2 || ![3, -1].includes(intAttribute(split, 'axis', 0))) return null;
  const [l, r] = split.outputs;
  const of = (list: readonly Term[] | undefined, half: string | undefined): Term | undefined => (list?.length === 2 ? list.find((term) => term.half === half) : undefined);
  const [lc, rs, rc, ls] = [of(first, l), of(first, r), of(second, r), of(second, l)];
  if (lc === undefined || rs === undefined || rc === undefined || ls === undefined) return null;
  const turns = lc.sign === 1 && rc.sign === 1 && lc.table === rc.table && rs.table === ls.table && rs.sign === -ls.sign;
  return turns ? { x: split.inputs[0]!, cos: lc.table, sin: ls.table, sign: ls.sign } : null;
}

function terms(name: string, sign: number, producers: ReadonlyMap<string, Node>): Term[] {
  const node = producers.get(name);
  if (node === undefined || node.domain !== '') return [];
  const [a, b] = node.inputs as [string, string];
  switch (node.op) {
    case 'Add': return [...terms(a, sign, producers), ...terms(b, sign, producers)];
    case 'Sub': return [...terms(a, sign, producers), ...terms(b, -sign, producers)];
    case 'Neg': return terms(a, -sign, producers);
    case 'Mul': return factors(a, b, sign, producers);
    default: return [];
  }
}

/** The minus of a difference's gradient stands before the half. */
function factors(a: string, b: string, sign: number, producers: ReadonlyMap<string, Node>): Term[] {
  for (const [half, table] of [[a, b], [b, a]] as const) {
    const node = producers.get(half);
    if (node?.op === 'Split') return [{ sign, half, table }];
    if (node?.op === 'Neg' && producers.get(node.inputs[0]!)?.op === 'Split') return [{ sign: -sign, half: node.inputs[0]!, table }];
  }
  return [];
}

/** x [B, heads, S, d] by tables [B, 1, S, d/2]: every row of every text is a line of its own in the operator's tables. */
function turned(b: Builder, { x: name, cos, sin, sign }: Rotation, tables: Tables): Value[] | null {
  if (!b.has(name) || !b.has(cos) || !b.has(sin)) return null;
  const x = b.value(name), [batch, , length, depth] = x.shape?.length === 4 ? dimsOf(x) : [];
  const fits = (table: Value): boolean => typeof depth === 'number' && table.shape?.join() === [batch, 1, length, depth / 2].join();
  if (x.dataType !== 'float32' || !fits(b.value(cos)) || !fits(b.value(sin))) return null;
  const rows = (table: string, by: number): Value => tables.once(`${table} ${by}`, () => {
    const flat = b.reshape(b.value(table), [-1, (depth as number) / 2]);
    return by === 1 ? flat : b.neg(flat);
  });
  const positions = tables.once(`positions ${batch} ${length}`, () => {
    const shape = b.gather(b.shape(b.value(cos)), b.int64([0, 2]));
    const count = b.op('ReduceProd', [shape], { keepdims: { kind: 'int', value: 0 } });
    return b.reshape(b.range(b.scalar(0, 'int64'), count, b.scalar(1, 'int64')), shape);
  });
  return [b.op('RotaryEmbedding', [x, positions, rows(cos, 1), rows(sin, sign)], {}, { domain: MICROSOFT })];
}

/** What layers have in common. */
class Tables {
  readonly #made = new Map<string, Value>();

  once(key: string, make: () => Value): Value {
    const known = this.#made.get(key) ?? make();
    this.#made.set(key, known);
    return known;
  }
}

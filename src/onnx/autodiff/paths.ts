/** @file What lies between the variables and the output: the only part of a graph that is differentiated. */
import type { Builder } from '../builder.ts';
import { OnnxError, describeNode, isFloat, usesOf, type Model, type Node } from '../ir.ts';
import type { GradientRule } from './context.ts';
import { gradientRule, stopsGradient } from './rules/index.ts';

export interface Paths {
  /** Nodes through which a gradient flows, in the model's order. */
  readonly nodes: readonly Node[];
  /** Values that depend on `wrt` and that the output depends on. */
  readonly active: ReadonlySet<string>;
  /** `"w" → MatMul "m" → Foo "f"`: how a node hangs on a variable, for messages. */
  path(node: Node): string;
}

/**
 * Which nodes and values lie between `wrt` and `output`.
 *
 * @throws OnnxError when control flow lies between them, or when the output does not depend on a variable.
 */
export function activePaths(model: Model, b: Builder, { wrt, output, stop }: { wrt: readonly string[]; output: string; stop: ReadonlySet<string> }): Paths {
  /** How a value came to depend on a variable; null: it is one. */
  const origins = new Map<string, { node: Node; from: string } | null>(wrt.map((name) => [name, null]));
  /** Where dependence ends: at operators whose derivative is zero, at integers, and where the caller says so. */
  const ends: { node: Node; from: string }[] = [];
  for (const node of model.nodes) {
    const from = usesOf(node).find((name) => origins.has(name));
    if (from === undefined) continue;
    // An integer carries no derivative: casts to int64 and indices end the path.
    const carries = (name: string): boolean => name !== '' && !stop.has(name) && !(b.has(name) && !isFloat(b.value(name).dataType));
    const outputs = node.domain === '' && stopsGradient(node.op) ? [] : node.outputs.filter(carries);
    for (const name of outputs) if (!origins.has(name)) origins.set(name, { node, from });
    if (outputs.length === 0) ends.push({ node, from });
  }
  const steps = (node: Node, from: string): { root: string; nodes: Node[] } => {
    const nodes = [node];
    let root = from;
    for (let origin = origins.get(root); origin != null; origin = origins.get(root)) {
      nodes.unshift(origin.node);
      root = origin.from;
    }
    return { root, nodes };
  };
  const pathOf = (node: Node, from: string): string => {
    const { root, nodes } = steps(node, from), names = nodes.map(describeNode);
    return [`"${root}"`, ...(names.length <= 7 ? names : [...names.slice(0, 2), `… ${names.length - 5} more …`, ...names.slice(-3)])].join(' → ');
  };

  const needed = new Set([output]);
  const nodes: Node[] = [];
  for (const node of model.nodes.toReversed()) {
    if (!node.outputs.some((name) => needed.has(name) && origins.has(name))) continue;
    const from = usesOf(node).find((name) => origins.has(name));
    if (from === undefined) continue;
    if (Object.values(node.attributes).some(({ kind }) => kind === 'graph')) throw new OnnxError(`${describeNode(node)} is control flow, which cannot be differentiated; path: ${pathOf(node, from)}`);
    nodes.push(node);
    for (const name of node.inputs) if (origins.has(name)) needed.add(name);
  }
  for (const name of wrt) {
    if (needed.has(name)) continue;
    const end = ends.find(({ node, from }) => steps(node, from).root === name);
    throw new OnnxError(`"${output}" does not depend on "${name}"${end === undefined ? '' : ` through anything with a derivative: ${pathOf(end.node, end.from)} ends there`}`);
  }
  const active = new Set([...origins.keys()].filter((name) => needed.has(name)));
  return { nodes: nodes.reverse(), active, path: (node) => pathOf(node, node.inputs.find((name) => active.has(name))!) };
}

/** The rule of a node on the path. */
export function ruleFor(node: Node, paths: Paths): GradientRule {
  const rule = gradientRule(node);
  if (rule !== undefined) return rule;
  throw new OnnxError(`${describeNode(node)} has no gradient rule; path: ${paths.path(node)}. If it is a fused operator, run decompose first`);
}

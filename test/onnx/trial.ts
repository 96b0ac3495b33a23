/**
 * @file Random graphs whose gradients are compared with central differences.
 *
 * Everything runs in float64 with steps of 1e-6, so that a difference quotient is good to about eight digits. Along a random
 * direction d one quotient checks all elements of all gradients at once: (f(x + hd) − f(x − hd)) / 2h = Σ grad · d.
 */
import fc, { type GeneratorValue } from 'fast-check';
import { expect, test } from 'vitest';
import { Builder, OPSET, createSession, differentiate, type Dim, type HostTensor, type Model, type Value } from '../../src/onnx/index.ts';
import { numbersOf } from './support.ts';

const RUNS = 30;
const STEP = 1e-6;

/** An input that gradients are taken of. */
interface Variable { readonly shape: readonly number[]; readonly low?: number; readonly high?: number; /** How the graph declares the shape. */ readonly declared?: readonly Dim[] }

/** How far to step, and how far the quotient may be off. */
export interface Precision { readonly step?: number; readonly allowed?: number }

/** A graph of float64 variables; whatever it returns is summed with random weights into the loss. */
export class Trial {
  readonly b: Builder;
  readonly variables = new Map<string, Variable>();
  readonly g: GeneratorValue;
  readonly #random: () => number;

  constructor(g: GeneratorValue, opset = OPSET) {
    this.g = g;
    this.b = new Builder({ ...new Builder().build(), opsets: new Map([['', opset]]) });
    let state = g(fc.integer, { min: 1, max: 0x7fffffff });
    this.#random = () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return state / 2 ** 32;
    };
  }

  between(min: number, max: number): number { return this.g(fc.integer, { min, max }); }
  chance(): boolean { return this.g(fc.boolean); }
  pick<T>(items: readonly T[]): T { return items[this.between(0, items.length - 1)]!; }
  shape(min: number, max: number, largest = 3): number[] { return Array.from({ length: this.between(min, max) }, () => this.between(1, largest)); }
  random(low: number, high: number): number { return low + (high - low) * this.#random(); }

  variable(shape: readonly number[], options: Omit<Variable, 'shape'> = {}): Value {
    const name = `x${this.variables.size}`;
    this.variables.set(name, { shape, ...options });
    return this.b.input(name, 'float64', options.declared ?? shape);
  }

  /** Some dimensions as symbols: the graph must then find out at run time what was repeated. */
  symbolic(shape: readonly number[]): Dim[] {
    return shape.map((size, axis): Dim => this.pick<Dim>([size, size, `size${size}`, `free${this.variables.size}_${axis}`]));
  }

  /** A shape that broadcasts into `target`: leading axes dropped, others perhaps 1. */
  narrower(target: readonly number[]): number[] {
    return target.slice(this.between(0, target.length)).map((size) => (this.chance() ? 1 : size));
  }

  indices(shape: readonly number[], below: number): Value {
    const count = shape.reduce((product, size) => product * size, 1);
    return this.b.constant('int64', shape, Array.from({ length: count }, () => this.between(-below, below - 1)));
  }

  async check(results: readonly Value[], { step: size = STEP, allowed = 1e-6 }: Precision = {}): Promise<void> {
    const { b } = this;
    results.forEach((value, index) => {
      // Cosines of a fixed phase tell all elements apart.
      const flat = b.reshape(value, [-1]);
      const places = b.cast(b.range(b.scalar(0, 'int64'), b.squeeze(b.shape(flat), [0]), b.scalar(1, 'int64')), 'float64');
      const part = b.sum(b.mul(flat, b.cos(b.add(b.mul(places, 1.7), 0.3 + index))));
      b.output(`part${index}`, part);
    });
    const parts = results.map((_, index) => b.value(`part${index}`));
    b.output('loss', parts.reduce((sum, part) => b.add(sum, part)));
    const model = b.build();
    for (const { op } of model.nodes) tried.add(op);
    const wrt = [...this.variables.keys()];

    const point = new Map(wrt.map((name) => [name, this.#sample(name, (low, high) => this.random(low, high))]));
    const direction = new Map(wrt.map((name) => [name, this.#sample(name, () => this.random(-1, 1))]));
    const at = (step: number): Record<string, HostTensor> => Object.fromEntries(wrt.map((name) => {
      const away = direction.get(name)!;
      return [name, { dataType: 'float64', dims: [...this.variables.get(name)!.shape], data: point.get(name)!.map((value, index) => value + step * away[index]!) }];
    }));
    const [above, below] = await runAll(model, [at(size), at(-size)], 'loss');
    const quotient = (above! - below!) / (2 * size);
    const session = await createSession(differentiate(model, { output: 'loss', wrt }), { threads: 1 });
    try {
      const gradients = await session.run(at(0));
      let slope = 0, scale = 0;
      for (const name of wrt) {
        const gradient = gradients[`grad.${name}`]!;
        expect(gradient.dims.map(Number), `shape of grad.${name}`).toEqual(this.variables.get(name)!.shape);
        numbersOf(gradient).forEach((value, index) => {
          const term = value * direction.get(name)![index]!;
          slope += term;
          scale += Math.abs(term);
        });
      }
      expect(Math.abs(slope - quotient) / (scale + Math.abs(quotient) + 1e-2), describeModel(model)).toBeLessThanOrEqual(allowed);
    } finally { await session.dispose(); }
  }

  #sample(name: string, draw: (low: number, high: number) => number): Float64Array {
    const { shape, low = -2, high = 2 } = this.variables.get(name)!;
    return Float64Array.from({ length: shape.reduce((product, size) => product * size, 1) }, () => draw(low, high));
  }
}

/** Operators of all graphs that were checked. */
export const tried = new Set<string>();

async function runAll(model: Model, feeds: readonly Record<string, HostTensor>[], output: string): Promise<number[]> {
  const session = await createSession(model, { threads: 1 });
  try {
    const values: number[] = [];
    for (const feed of feeds) values.push(numbersOf((await session.run(feed))[output]!)[0]!);
    return values;
  } finally { await session.dispose(); }
}

const describeModel = (model: Model): string =>
  `${model.inputs.map(({ name, shape }) => `${name}[${shape?.join()}]`).join(' ')}: ${model.nodes.slice(0, 6).map(({ op, inputs, attributes }) => `${op}(${inputs.join()}) ${JSON.stringify(attributes)}`).join('; ')}`;

/** A test of random graphs: `build` makes the graph; its results are what is differentiated. */
export function property(name: string, build: (trial: Trial) => readonly Value[], { runs = RUNS, opset = OPSET, ...precision }: Precision & { runs?: number; opset?: number } = {}): void {
  test(name, async () => {
    await fc.assert(fc.asyncProperty(fc.gen(), async (g) => {
      const trial = new Trial(g, opset);
      await trial.check(build(trial), precision);
    }), { numRuns: runs, seed: 20240607, endOnFailure: true });
  });
}

// Trains a two-layer network with rlrun/onnx alone: write a graph, derive its gradients, run both in ONNX Runtime.
// Run it with: node examples/onnx/two-layer-network.ts
import { Builder, createSession, differentiate, f32 } from 'rlrun/onnx';

// y = tanh(x·w1 + b1)·w2, loss = mean((y − target)²)
const b = new Builder();
const x = b.input('x', 'float32', ['batch', 2]);
const target = b.input('target', 'float32', ['batch', 1]);
const w1 = b.input('w1', 'float32', [2, 8]);
const b1 = b.input('b1', 'float32', [8]);
const w2 = b.input('w2', 'float32', [8, 1]);
const y = b.output('y', b.matmul(b.tanh(b.add(b.matmul(x, w1), b1)), w2));
b.output('loss', b.mean(b.square(b.sub(y, target))));
const training = await createSession(differentiate(b.build(), { output: 'loss', wrt: ['w1', 'b1', 'w2'] }));

// Exclusive or, and weights from a fixed pattern.
const weights = { w1: f32(Float32Array.from({ length: 16 }, (_, i) => Math.sin(3 * i)), [2, 8]), b1: f32(new Float32Array(8), [8]), w2: f32(Float32Array.from({ length: 8 }, (_, i) => Math.cos(5 * i)), [8, 1]) };
const data = { x: f32(Float32Array.of(0, 0, 0, 1, 1, 0, 1, 1), [4, 2]), target: f32(Float32Array.of(0, 1, 1, 0), [4, 1]) };

for (let step = 0; step <= 1000; step++) {
  const outputs = await training.run({ ...weights, ...data });
  for (const [name, { data: values }] of Object.entries(weights)) {
    const gradient = outputs[`grad.${name}`]!.data;
    for (let i = 0; i < values.length; i++) values[i] = Number(values[i]) - 0.2 * Number(gradient[i]);
  }
  if (step % 250 === 0) console.log(`step ${step}  loss ${Number(outputs['loss']!.data[0]).toFixed(6)}  y ${Array.from(outputs['y']!.data as Float32Array, (value) => value.toFixed(3)).join(' ')}`);
}
await training.dispose();

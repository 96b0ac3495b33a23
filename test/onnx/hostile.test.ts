/** @file Broken, cut off and malicious model files: an error that says what is wrong, or a model that works; never anything else. */
import { create, toBinary } from '@bufbuild/protobuf';
import { AttributeProtoSchema, AttributeProto_AttributeType as AttributeType, GraphProtoSchema, ModelProtoSchema, NodeProtoSchema, OperatorSetIdProtoSchema, type GraphProto } from 'onnx-buf';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Builder, OnnxError, differentiate, readModel, writeModel, writeModelPlaced } from '../../src/onnx/index.ts';
import { expectOutcomes, outcomeOf, outcomesOf, weightsDirectory } from './mutants.ts';

let directory: string;
beforeAll(() => { directory = weightsDirectory(); });
afterAll(() => { rmSync(directory, { recursive: true }); });

test('a thousand broken files: each is refused with an OnnxError, or works', () => {
  expectOutcomes(outcomesOf({ first: 0, count: 1000, directory }));
});

const graphModel = (graph: GraphProto): Uint8Array =>
  toBinary(ModelProtoSchema, create(ModelProtoSchema, { irVersion: 10n, opsetImport: [create(OperatorSetIdProtoSchema, { domain: '', version: 21n })], graph }));

const refusal = (source: string | Uint8Array): string => {
  try { readModel(source, { directory }); } catch (error) {
    expect(error).toBeInstanceOf(OnnxError);
    return (error as OnnxError).message;
  }
  throw new Error('the file was read');
};

describe('readModel by path', () => {
  test('names the file that is not there', () => { expect(refusal(join(directory, 'model.onnx'))).toMatch(/^cannot read .*model\.onnx: there is no such file$/); });
  test('asks for the file in a directory', () => { expect(refusal(directory)).toMatch(/it is a directory; name the \.onnx file in it$/); });
  test('names the file that is no model', () => { expect(refusal(join(directory, 'weights.bin'))).toMatch(/weights\.bin: not/); });
  test('calls an empty file no model', () => { expect(refusal(new Uint8Array())).toBe('model: not an ONNX model: it has no graph'); });
});

describe('names', () => {
  const node = (inputs: string[], outputs: string[]) => create(NodeProtoSchema, { name: outputs[0]!, opType: 'Add', input: inputs, output: outputs });
  test('a circle of nodes is refused', () => { expect(refusal(graphModel(create(GraphProtoSchema, { node: [node(['b', 'b'], ['a']), node(['a', 'a'], ['b'])] })))).toBe('model: Add "a" uses "b", which nothing before it makes'); });
  test('a name made twice is refused', () => { expect(refusal(graphModel(create(GraphProtoSchema, { node: [node(['', ''], ['a']), node(['a', 'a'], ['a'])] })))).toBe('model: the name "a" is made twice, the second time by Add "a"'); });
  test('names that JavaScript objects have of their own mean nothing', () => {
    const b = new Builder();
    const x = b.input('__proto__', 'float32', [2]);
    b.output('constructor', b.op('Mul', [x, x], {}, { outputNames: ['toString'] }));
    const { outputs } = differentiate(readModel(writeModel(b.build())), { output: 'constructor', wrt: ['__proto__'], cotangent: 'hasOwnProperty' });
    expect(outputs.map(({ name }) => name)).toEqual(['constructor', 'grad.__proto__']);
  });
});

describe('external data', () => {
  const file = (place: { location: string; offset?: number; length?: number }): Uint8Array => {
    const b = new Builder();
    b.output('y', b.add(b.initializer('w', { dataType: 'float32', dims: [16], data: new Uint8Array(64) }), 1));
    return writeModelPlaced(b.build(), (name) => (name === 'w' ? { offset: 0, length: 64, ...place } : null));
  };
  test.each([
    ['a missing file', { location: 'missing.bin' }, 'missing.bin with its weights is missing; copy it beside the .onnx file'],
    ['a file that is too short', { location: 'short.bin' }, 'short.bin has 3 bytes, 64 are needed; the file is truncated'],
    ['a part behind the end', { location: 'weights.bin', offset: 8 }, 'weights.bin has 64 bytes, 72 are needed'],
    ['a negative offset', { location: 'weights.bin', offset: -64 }, 'offset -64'],
    ['another length than the tensor has', { location: 'weights.bin', length: 32 }, 'needs 64 bytes, but its external data has offset 0 and length 32'],
    ['a file outside the directory', { location: '../weights.bin' }, `external data "../weights.bin" lies outside the model's directory`],
    ['a file at the root', { location: '/etc/passwd' }, `external data "/etc/passwd" lies outside the model's directory`],
    ['a directory', { location: '.' }, 'is missing'],
    ['a path through a file', { location: 'weights.bin/w' }, 'is missing'],
    ['no place at all', { location: '' }, 'external data without a location'],
  ])('%s is refused, naming the tensor', (_, place, message) => {
    expect(refusal(file(place))).toMatch(/^model: tensor "w": /);
    expect(refusal(file(place))).toContain(message);
  });
  test('what is well placed is read', () => { expect(readModel(file({ location: 'weights.bin' }), { directory }).initializers.get('w')?.data).toEqual({ path: join(directory, 'weights.bin'), offset: 0, length: 64 }); });
});

describe('sizes', () => {
  test('a shape whose elements nobody can count is refused', () => {
    const b = new Builder();
    b.output('y', b.initializer('w', { dataType: 'float32', dims: [2 ** 40, 2 ** 40], data: new Uint8Array(8) }));
    expect(refusal(writeModel(b.build()))).toContain('tensor "w": impossible shape [1099511627776, 1099511627776]');
  });
  test('a shape larger than its bytes is refused before anything is made for it', () => {
    const b = new Builder();
    b.output('y', b.initializer('w', { dataType: 'float32', dims: [2 ** 40], data: new Uint8Array(8) }));
    expect(refusal(writeModel(b.build()))).toContain('tensor "w": float32[1099511627776] needs 4398046511104 bytes, but the file holds 8');
  });
  test('a shape given by a value of absurd length is refused', () => {
    const b = new Builder();
    const x = b.input('x', 'float32', [2]), shape = b.input('shape', 'int64', [2 ** 40]);
    expect(() => b.reshape(x, shape)).toThrow('a rank of 1099511627776 is beyond reason');
  });
  test('products of long sums of names stay short', () => {
    const b = new Builder();
    const sum = (letter: string): string => Array.from({ length: 40 }, (_, index) => `${letter}${index}`).join(' + ');
    const x = b.input('x', 'float32', [...'abcdefgh'].map(sum));
    expect(String(b.reshape(x, [-1]).shape![0]).length).toBeLessThan(1000);
  });
  test('control flow nested a thousand deep is read or refused', () => {
    let graph = create(GraphProtoSchema, { name: 'innermost' });
    for (let depth = 0; depth < 1000; depth++) {
      const body = create(AttributeProtoSchema, { name: 'body', type: AttributeType.GRAPH, g: graph });
      graph = create(GraphProtoSchema, { node: [create(NodeProtoSchema, { opType: 'Loop', output: [`y${depth}`], attribute: [body] })] });
    }
    let bytes: Uint8Array;
    try { bytes = graphModel(graph); } catch { return; } // the writer of the test gave up first
    expect(['works', 'not read', 'read, then refused']).toContain(outcomeOf(bytes, directory));
  });
});

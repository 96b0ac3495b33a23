import { describe, expect, it } from 'vitest';
import { addDims, isNegativeDim, linearTerms, negateDim, opaqueDim, substituteDim } from '../../src/onnx/dims.ts';
import { Builder } from '../../src/onnx/builder.ts';

describe('dimensions', () => {
  it('replace names by what is known of them', () => {
    const known = new Map<string, number | string>([['past', 0], ['batch', 3], ['sequence', 'length']]);
    expect(substituteDim('past + sequence', known)).toBe('length');
    expect(substituteDim('2*batch*heads + past + 1', known)).toBe('6*heads + 1');
    expect(substituteDim('batch*past', known)).toBe(0);
    expect(substituteDim(4, known)).toBe(4);
  });

  it('split sums of names, and only those', () => {
    expect(linearTerms('past + 2*sequence + 3')).toEqual({ names: [['past', 1], ['sequence', 2]], constant: 3 });
    expect(linearTerms('batch*sequence')).toBeNull();
    expect(linearTerms(7)).toEqual({ names: [], constant: 7 });
  });

  it('count from the end when they are negative whatever the names are', () => {
    expect(isNegativeDim(negateDim('sequence'))).toBe(true);
    expect(isNegativeDim(addDims('past', negateDim('sequence')))).toBe(false);
    expect(isNegativeDim(0)).toBe(false);
    const b = new Builder(), mask = b.input('mask', 'int64', ['batch', 'past + sequence']), ids = b.input('ids', 'int64', ['batch', 'sequence']);
    expect(b.slice(mask, { axis: 1, start: b.neg(b.shape(ids, { start: 1, end: 2 })) }).shape).toEqual(['batch', 'sequence']);
    expect(b.slice(mask, { axis: 1, start: 0, end: b.neg(b.shape(ids, { start: 1, end: 2 })) }).shape).toEqual(['batch', 'past']);
  });

  it('are inferred by Reshape past a sum that it keeps', () => {
    const b = new Builder(), scores = b.input('scores', 'float32', ['batch', 2, '3*sequence', 'past + sequence']);
    expect(b.reshape(scores, [0, 6, -1, 0]).shape).toEqual(['batch', 6, 'sequence', 'past + sequence']);
  });

  it('keep their names short, however deep a graph is', () => {
    const deep = (layers: number, from: string): string => { let dim = from; for (let layer = 0; layer < layers; layer++) dim = String(opaqueDim('broadcast', dim, `${dim}`)); return dim; };
    expect(deep(100, 'a').length).toBeLessThan(128);
    expect(deep(100, 'a')).toBe(deep(100, 'a'));
    expect(deep(100, 'a')).not.toBe(deep(100, 'b'));
  });
});

import { resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseSource } from '../../src/models/index.ts';

const cwd = resolve('/project');
const parse = (text: string) => parseSource(text, { cwd });

describe('sources', () => {
  test.each([
    ['builtin:arith-tiny', { kind: 'builtin', name: 'arith-tiny' }],
    ['hub:HuggingFaceTB/SmolLM2-135M', { kind: 'hub', repository: 'HuggingFaceTB/SmolLM2-135M', revision: null }],
    ['hub:org/name@v1.0', { kind: 'hub', repository: 'org/name', revision: 'v1.0' }],
    ['hub:org/name@refs/pr/1', { kind: 'hub', repository: 'org/name', revision: 'refs/pr/1' }],
    ['./mine', { kind: 'directory', path: resolve(cwd, 'mine') }],
    ['../mine', { kind: 'directory', path: resolve(cwd, '../mine') }],
    ['.', { kind: 'directory', path: cwd }],
    [resolve('/models/mine'), { kind: 'directory', path: resolve('/models/mine') }],
    ['config:shape.json', { kind: 'config', path: resolve(cwd, 'shape.json') }],
    ['arith-rl', { kind: 'model', slug: 'arith-rl', checkpoint: null }],
    ['arith-rl@step-000010', { kind: 'model', slug: 'arith-rl', checkpoint: 'step-000010' }],
  ])('%s', (text, source) => {
    expect(parse(text)).toEqual(source);
  });

  test.each(['', 'builtin:', 'builtin:../x', 'hub:name', 'hub:org/name/more', 'hub:org/..', 'hub:org/name@../x', 'a@', 'a@b@c', 'With Space', 'org/name', 'http://x'])('%j is no source', (text) => {
    expect(() => parse(text)).toThrow(/is no model source/);
  });
});

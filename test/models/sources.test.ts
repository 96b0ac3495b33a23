import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseSource } from '../../src/models/index.ts';
import { checkSlug } from '../../src/models/sources.ts';
import { meantSource } from '../../src/util/meant-source.ts';

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
    ['~/models/mine', { kind: 'directory', path: join(homedir(), 'models', 'mine') }],
    ['config:~/shape.json', { kind: 'config', path: join(homedir(), 'shape.json') }],
    ['config:shape.json', { kind: 'config', path: resolve(cwd, 'shape.json') }],
    ['arith-rl', { kind: 'model', slug: 'arith-rl', checkpoint: null }],
    ['arith-rl@step-000010', { kind: 'model', slug: 'arith-rl', checkpoint: 'step-000010' }],
  ])('%s', (text, source) => {
    expect(parse(text)).toEqual(source);
  });

  test.each(['', 'builtin:', 'builtin:../x', 'hub:name', 'hub:org/name/more', 'hub:org/..', 'hub:org/name@../x', 'a@', 'a@b@c', 'With Space', 'org/name', 'http://x'])('%j is no source', (text) => {
    expect(() => parse(text)).toThrow(/is no model source/);
  });

  test.each([
    ['HuggingFaceTB/SmolLM2-135M', 'hub:HuggingFaceTB/SmolLM2-135M'],
    ['org/name@v1', 'hub:org/name@v1'],
    ['hf:org/name', 'hub:org/name'],
    ['hub://org/name', 'hub:org/name'],
    ['https://huggingface.co/org/name', 'hub:org/name'],
    ['hub:https://huggingface.co/org/name/tree/main', 'hub:org/name'],
    ['huggingface.co/org/name/blob/v1/config.json', 'hub:org/name@v1'],
    ['https://hf.co/org/name?x=1', 'hub:org/name'],
    ['out/models/mine', './out/models/mine'],
    ['http://elsewhere/org/name', null],
    ['hub:org/name/more', null],
    ['name', null],
    ['With Space/x', null],
  ])('%j was meant as %j', (text, meant) => {
    expect(meantSource(text)).toBe(meant);
    expect(() => checkSlug(`${text}/`)).toThrow(/is no model, but something|cannot name a model/);
    if (meant !== null) expect(() => parse(text)).toThrow(expect.objectContaining({ fix: `Did you mean ${meant}?` }));
  });
});

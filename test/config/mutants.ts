import { expect } from 'vitest';
import { disk } from '../../src/config/files.ts';
import { describeLocation, formatDiagnostics, loadPipeline, printResolved } from '../../src/config/index.ts';
import { mutant } from './mutate.ts';

const directory = new URL('../../pipelines/', import.meta.url).pathname;

/** Loads mutants `from` … `to`: each is a valid pipeline or has a diagnostic with a place. Returns how many were refused. */
export async function tryMutants(from: number, to: number): Promise<number> {
  let refused = 0;
  for (let seed = from; seed < to; seed++) {
    const { name, text } = mutant(seed);
    const fileSystem = { ...disk, readFile: async (path: string) => (path === directory + name ? text : await disk.readFile(path)), size: async () => text.length };
    const result = await loadPipeline({ file: name, directory, fileSystem, env: { X: '1' } }).catch((error: unknown) => {
      throw new Error(`mutant ${seed} of ${name} threw`, { cause: error });
    });
    const errors = result.diagnostics.filter(({ severity }) => severity === 'error');
    expect(errors.length > 0, `mutant ${seed}`).toBe(!result.ok);
    for (const { at, message } of result.diagnostics) {
      expect(at.start, `mutant ${seed}: ${message}`).toBeLessThanOrEqual(at.source.text.length);
      expect(describeLocation(at)).not.toMatch(/NaN|undefined/);
      expect(message).not.toMatch(/undefined|\[object|NaN(?!")/);
    }
    expect(formatDiagnostics(result.diagnostics).length).toBeLessThan(60_000);
    if (result.ok) expect(printResolved(result.origins)).toContain('steps:');
    else refused++;
  }
  return refused;
}

import { describe, expect, test } from 'vitest';
import { diagnoseLoadError, formatDiagnostic } from '../../src/config/index.ts';
import { loadFailure } from '../../src/util/load-error.ts';
import { filesInMemory, loaded, needed } from './memory.ts';

const told = async (text: string, ...failure: Parameters<typeof loadFailure>): Promise<string> => {
  const { origins } = await loaded({ 'pipeline.yaml': text, 'brevity.ts': '' });
  const fileSystem = filesInMemory({ '/project/brevity.ts': 'const limit = 20;\nexport default 3;\n' });
  return formatDiagnostic(await diagnoseLoadError({ origins, error: loadFailure(...failure).error, directory: '/project', fileSystem }));
};

describe('what a taskset or a reward refuses', () => {
  test('is shown at its setting', async () => {
    const text = `${needed}`.replace('builtin:arith', 'builtin:arith, split: { train: 100000 }');
    expect(await told(text, 'builtin:arith has 5050 tasks.', 'Ask for fewer.', { key: 'taskset.split' })).toBe(`error[not-loaded]: builtin:arith has 5050 tasks
  --> pipeline.yaml:2:42
1 | model: { fork: hub:org/tiny }
2 | taskset: { source: builtin:arith, split: { train: 100000 } }
  |                                          ^^^^^^^^^^^^^^^^^ Ask for fewer`);
  });

  test('at the nearest setting that somebody wrote', async () => {
    expect(await told(needed, 'no such key.', 'Change it.', { key: 'reward.0.tolerance.deeper' })).toContain('  --> pipeline.yaml:3:10\n');
  });

  test('is shown in the code that is to blame, and where the file names it', async () => {
    const text = needed.replace('kind: numeric_match', 'kind: module, path: ./brevity.ts');
    const at = { file: '/project/brevity.ts', line: 2, column: 16 };
    expect(await told(text, 'The default export is 3.', 'Export a function.', { key: 'reward.0.path', at })).toBe(`error[not-loaded]: The default export is 3
  --> brevity.ts:2:16
1 | const limit = 20;
2 | export default 3;
  |                ^^ Export a function
note: the file is named here
  --> pipeline.yaml:3:32
2 | taskset: { source: builtin:arith }
3 | reward: [{ kind: module, path: ./brevity.ts }]
  |                                ^^^^^^^^^^^^`);
  });
});

test('what does not suit the model is a warning at its setting, also at one of the model', async () => {
  const { origins } = await loaded({ 'pipeline.yaml': needed });
  const { error } = loadFailure('the tokenizer does not know ä.', 'Write ae.', { key: 'model.fork' });
  expect(formatDiagnostic(await diagnoseLoadError({ origins, error, code: 'unsuited-tasks', directory: '/project' }))).toBe(`warning[unsuited-tasks]: the tokenizer does not know ä
  --> pipeline.yaml:1:16
1 | model: { fork: hub:org/tiny }
  |                ^^^^^^^^^^^^ Write ae`);
});

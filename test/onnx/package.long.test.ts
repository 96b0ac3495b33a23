/** @file `rlrun/onnx` as another project sees it: the packed files, their types under both resolutions, and the example. */
import { execFile } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const execute = promisify(execFile);
const root = fileURLToPath(new URL('../../', import.meta.url)), modules = join(root, 'node_modules');
let app: string;

/** A project that has installed the tarball: what is in it, beside the packages that it depends on. */
beforeAll(async () => {
  app = mkdtempSync(join(tmpdir(), 'rlrun-app-'));
  const { stdout } = await execute('npm', ['pack', '--json', '--pack-destination', app], { cwd: root, maxBuffer: 2 ** 26 });
  const [{ filename }] = JSON.parse(stdout.slice(stdout.indexOf('[\n'))) as [{ filename: string }];
  mkdirSync(join(app, 'node_modules'));
  await execute('tar', ['-xzf', join(app, filename), '-C', join(app, 'node_modules')]);
  await execute('mv', [join(app, 'node_modules/package'), join(app, 'node_modules/rlrun')]);
  for (const name of readdirSync(modules)) if (!name.startsWith('.') && name !== 'rlrun') symlinkSync(join(modules, name), join(app, 'node_modules', name));
  writeFileSync(join(app, 'package.json'), '{ "type": "module" }');
  copyFileSync(join(root, 'examples/onnx/two-layer-network.ts'), join(app, 'example.ts'));
  writeFileSync(join(app, 'types.ts'), `
    import { Builder, canonicalize, createSession, decompose, differentiate, readModel, saveModel, writeModel, type Model, type Session, type Tensor } from 'rlrun/onnx';
    const model: Model = decompose(canonicalize(readModel('model.onnx')));
    const gradients: Model = differentiate(model, { output: 'loss', wrt: ['w'], recompute: /layers/ });
    const bytes: Uint8Array = writeModel(gradients), weight: Tensor | undefined = gradients.initializers.get('w');
    const session: Session = await createSession(gradients, { device: 'cpu' });
    saveModel('gradients.onnx', gradients, { external: true });
    // @ts-expect-error: types are there, and none has decayed to any
    differentiate(model, { wrt: ['w'] });
    export { Builder, bytes, session, weight };
  `);
});
afterAll(() => { rmSync(app, { recursive: true }); });

describe('an installed rlrun/onnx', () => {
  test.each([['nodenext', 'nodenext'], ['esnext', 'bundler']])('has types for module %s, resolution %s', async (module, resolution) => {
    const options = ['--noEmit', '--strict', '--target', 'es2022', '--module', module, '--moduleResolution', resolution, '--types', 'node', '--skipLibCheck', 'false', '--typeRoots', join(modules, '@types')];
    const { stdout } = await execute(process.execPath, [join(modules, 'typescript/bin/tsc'), ...options, 'example.ts', 'types.ts'], { cwd: app }).catch((error: { stdout: string }) => ({ stdout: error.stdout }));
    expect(stdout).toBe('');
  });

  test('trains the network of the example to convergence', async () => {
    const { stdout } = await execute(process.execPath, ['example.ts'], { cwd: app });
    const losses = [...stdout.matchAll(/loss ([\d.]+)/g)].map(([, loss]) => Number(loss));
    expect(losses[0]).toBeGreaterThan(1);
    expect(losses.at(-1)).toBeLessThan(1e-4);
  });

  test('loads nothing of the rest of rlrun but small helpers', async () => {
    const script = `import { registerHooks } from 'node:module'; const seen = []; registerHooks({ load(url, context, next) { seen.push(url); return next(url, context); } });
      await import('rlrun/onnx'); console.log(JSON.stringify(seen.filter((url) => url.includes('/rlrun/dist/') && !/dist\\/(onnx|util)\\//.test(url))), seen.length > 20);`;
    expect((await execute(process.execPath, ['--input-type=module', '-e', script], { cwd: app })).stdout.trim()).toBe('[] true');
  });
});

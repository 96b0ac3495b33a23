import { spawnSync } from 'node:child_process';

/** A Python that has the module, or null: RLRUN_TEST_PYTHON, else the one that is installed. */
export function pythonWith(module: string): string | null {
  const candidates = [process.env['RLRUN_TEST_PYTHON'], 'python3'].filter((name) => name !== undefined && name !== '');
  return candidates.find((python) => spawnSync(python!, ['-c', `import ${module}`], { timeout: 60_000 }).status === 0) ?? null;
}

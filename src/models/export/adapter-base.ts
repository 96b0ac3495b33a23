/** @file The base that an adapter names: what its readers load by that name has to be the very weights it was trained on. */
import { basename, join } from 'node:path';
import { fingerprint } from '../base.ts';
import { exists } from '../files.ts';
import type { ModelRecord } from '../types.ts';

export interface NamedBase {
  name: string;
  /** Of a repository: the commit that was forked. */
  revision: string | null;
}

/** Null: no repository and no directory of the user's holds these weights, so they have to be written beside the adapter. */
export async function namedBase({ base, baseDirectory, baseRevision }: ModelRecord): Promise<NamedBase | null> {
  if (base.startsWith('hub:')) {
    const [name = '', revision = null] = base.slice('hub:'.length).split('@');
    return { name, revision: baseRevision ?? revision };
  }
  // Built-in bases, shapes and checkpoints of other models are known to rlrun alone.
  if (/^(builtin|config):/.test(base) || /^[^/\\]+@/.test(base) || !(await exists(base))) return null;
  const isAsForked = baseDirectory === base ? await hasTorchWeights(base) : basename(baseDirectory).endsWith((await fingerprint(base)).slice(0, 12));
  return isAsForked ? { name: base, revision: null } : null;
}

async function hasTorchWeights(directory: string): Promise<boolean> {
  const names = ['model.safetensors', 'model.safetensors.index.json', 'pytorch_model.bin'];
  return (await Promise.all(names.map((name) => exists(join(directory, name))))).includes(true);
}

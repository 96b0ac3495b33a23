/** `rlrun check`: everything about a pipeline that can be proved without a model. */
import { printResolved } from '../../config/index.ts';
import { loadMaterials } from '../../pipeline/materials.ts';
import type { Handler } from '../commands.ts';
import { readPipeline } from './load.ts';

export const check: Handler = async (invocation) => {
  const { flags, io } = invocation;
  const read = await readPipeline(invocation);
  if (!read.ok) return read.exit;
  const { pipeline, origins } = read.loaded;
  if (flags.resolved) {
    if (flags.json) io.json({ type: 'resolved', pipeline });
    else io.print(printResolved(origins, { style: (text) => io.paint('dim', text, 'stdout') }));
    return 'ok';
  }
  const materials = await loadMaterials(pipeline);
  if (!materials.ok) return 'usage';
  return 'ok';
};

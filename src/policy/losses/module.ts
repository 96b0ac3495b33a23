/** @file A loss that the user wrote. */
import { importUserModule } from '../../util/import-user-module.ts';
import { loadFromSources, type Sources } from '../../util/user-sources.ts';
import type { LossFunction } from './terms.ts';

/**
 * From the sources that were kept of it, if there are some, however the file has been edited since.
 *
 * @throws Error naming the file that cannot be loaded or has no function.
 */
export async function loadLoss(path: string, sources: Sources | null): Promise<LossFunction> {
  const backToDisk = sources && loadFromSources(sources);
  try {
    const { default: loss } = await importUserModule(path);
    if (typeof loss === 'function') return loss as LossFunction;
  } catch (error) {
    throw new Error(`${path}: the custom loss cannot be loaded: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  } finally {
    backToDisk?.();
  }
  throw new Error(`${path}: a custom loss exports a function as its default: export default (tensors, { b }) => …`);
}

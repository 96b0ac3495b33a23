/** `rlrun PIPELINE --dry-run`: everything up to the first update: one task, one group of answers, their rewards. */
import type { Io } from '../io.ts';
import type { Exit } from '../exit-codes.ts';
import type { Workbench } from '../workbench.ts';

export async function dryRun(workbench: Workbench, io: Io): Promise<Exit> {
  const loaded = await workbench.load();
  if (!loaded.ok) return loaded.exit;
  throw new Error(`not there yet ${io.cwd}`);
}

/** `rlrun report JOB…`: one HTML page. */
import type { Handler } from '../commands.ts';

export const report: Handler = async () => {
  throw new Error('reports are not wired up yet');
};

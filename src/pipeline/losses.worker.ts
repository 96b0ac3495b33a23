/** Loads loss modules beside the job, where their mistakes cost nothing. */
import { defaultExportProblem, serveUserModules } from '../runtimes/index.ts';
import type { LossCheck } from './losses.ts';

serveUserModules((modules) => ({
  check({ path }: LossCheck['params']): LossCheck['result'] {
    return defaultExportProblem(modules(path)['default']);
  },
}));

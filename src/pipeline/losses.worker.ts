/** Loads and builds loss modules beside the job, where their mistakes cost nothing: a loss that loops, exits or hoards would take the engine with it. */
import { type LossFunction, tryLoss } from '../policy/index.ts';
import { defaultExportProblem, serveUserModules } from '../runtimes/index.ts';
import type { LossCheck } from './losses.ts';

serveUserModules((modules) => ({
  check({ path }: LossCheck['params']): LossCheck['result'] {
    const loss = modules(path)['default'];
    const problem = defaultExportProblem(loss);
    return problem === null ? tryLoss(loss as LossFunction, path) : `${path}: ${problem}`;
  },
}));

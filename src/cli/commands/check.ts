/** `rlrun check`: everything about a pipeline that can be proved without a model. */
import { proveReward } from '../../rewards/index.ts';
import { loadMaterials } from '../../pipeline/index.ts';
import type { Handler } from '../commands.ts';

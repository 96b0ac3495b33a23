/** `rlrun check`: everything about a pipeline that can be proved without a model. */
import { printResolved } from '../../config/index.ts';
import { loadMaterials } from '../../pipeline/index.ts';
import { type RewardProof, proveReward } from '../../rewards/index.ts';
import type { Handler } from '../commands.ts';
import { count } from '../text.ts';
import { readPipeline, tellLoadError } from './load.ts';

/** A reward that is wrong is wrong almost everywhere. */
const TASKS_PROVED = 8;

export const check: Handler = async (invocation) => {
  const { args: [file = ''], flags, io } = invocation;
  const read = await readPipeline(invocation);
  if (!read.ok) return read.exit;
  const { pipeline, origins } = read.loaded;
  if (flags.resolved) {
    if (flags.json) io.json({ type: 'resolved', pipeline });
    else io.print(printResolved(origins, { style: (text) => io.paint('dim', text, 'stdout') }));
  }
  const loaded = await loadMaterials(pipeline, { signal: io.signal });
  if (!loaded.ok) {
    tellLoadError(loaded.error, file, invocation);
    return 'usage';
  }
  await using materials = loaded.materials;

  let isSound = true;
  const say = (text: string) => io.say(text);
  if (!flags.json && !flags.resolved) say(`${file} is valid: ${count(pipeline.stages.length, 'stage')}, model ${pipeline.model.name} from ${pipeline.model.fork}`);
  const pairs = new Map(materials.stages.map((stage, index) => [`${stage.taskset.hash}/${stage.scorer.hash}`, { ...stage, name: pipeline.stages[index]!.name }]));
  for (const { taskset, scorer, name } of pairs.values()) {
    const proofs = await proveReward({ scorer, tasks: [...taskset.train.slice(0, TASKS_PROVED), ...taskset.eval.slice(0, 1)], signal: io.signal });
    const faults = proofs.flatMap((proof) => proof.faults);
    const wrong = faults.filter(({ kind }) => kind !== 'no_answer');
    isSound &&= wrong.length === 0;
    if (flags.json) io.json({ type: 'proof', stage: name, taskset: taskset.name, train: taskset.train.length, eval: taskset.eval.length, proofs });
    else if (!flags.resolved) {
      say(`${name}: ${taskset.name}, ${count(taskset.train.length, 'task')} to learn from, ${taskset.eval.length} held out`);
      say(`${name}: rewards ${wrong.length === 0 ? describe(proofs) : io.paint('red', `fail on ${count(new Set(proofs.filter((proof) => proof.faults.some(({ kind }) => kind !== 'no_answer'))).size, 'task')} of ${proofs.length}`)}`);
    }
    for (const message of new Set(wrong.map((fault) => fault.message))) io.stderr.write(`${io.paint('red', 'error')}: ${message}\n`);
  }
  return isSound ? 'ok' : 'usage';
};

/** What was proved, on how many tasks. */
function describe(proofs: readonly RewardProof[]): string {
  const answered = proofs.filter(({ gold }) => gold !== null).length;
  const silent = proofs.length - answered;
  return [
    ...(answered > 0 ? [`give the gold answer full marks, an empty one less, and the same twice (${count(answered, 'task')} tried)`] : []),
    ...(silent > 0 ? [`${count(silent, 'task')} without an answer: nothing to prove there`] : []),
  ].join('; ');
}

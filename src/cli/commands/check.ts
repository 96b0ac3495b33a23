/** `rlrun check`: everything about a pipeline that can be proved without running its model. */
import { printResolved } from '../../config/index.ts';
import type { RewardProof } from '../../rewards/index.ts';
import type { Handler } from '../types.ts';
import { count } from '../../util/words.ts';
import { proveRewards } from '../proof.ts';
import { modelProblems, readerOf } from '../suits.ts';
import { readMaterials, readPipeline, tellDiagnostics } from './load.ts';

const FAULTS_SHOWN = 3;

export const check: Handler = async (invocation) => {
  const { args: [file = ''], flags, io } = invocation;
  const read = await readPipeline(invocation);
  if (!read.ok) return read.exit;
  const { pipeline, origins } = read.loaded;
  if (flags.resolved) {
    if (flags.json) io.json({ type: 'resolved', pipeline });
    else io.print(printResolved(origins, { style: (text) => io.paint('dim', text, 'stdout') }));
  }
  // Beside the tasks and rewards, some of which start a worker.
  const model = readerOf(pipeline, io);
  const loaded = await readMaterials(read.loaded, { directory: io.cwd, signal: io.signal });
  if (!loaded.ok) {
    tellDiagnostics(loaded, invocation);
    return 'usage';
  }
  await using materials = loaded.materials;
  const problems = await modelProblems(read.loaded, { model: await model, materials, directory: io.cwd });
  tellDiagnostics({ ok: true, diagnostics: problems }, invocation);
  if (problems.some(({ severity }) => severity === 'error')) return 'usage';

  if (!flags.json && !flags.resolved) io.say(`${file} is valid: ${count(pipeline.stages.length, 'stage')}, model ${pipeline.model.name} from ${pipeline.model.fork}`);
  let isSound = true;
  for await (const { name, taskset, proofs, wrong, messages } of proveRewards(pipeline, { materials, signal: io.signal })) {
    isSound &&= wrong === 0;
    if (flags.json) io.json({ type: 'proof', stage: name, taskset: taskset.name, train: taskset.train.length, eval: taskset.eval.length, proofs });
    else if (!flags.resolved) {
      io.say(`${name}: ${taskset.name}, ${count(taskset.train.length, 'task')} to learn from, ${taskset.eval.length} held out`);
      io.say(`${name}: rewards ${wrong === 0 ? describe(proofs) : io.paint('red', `fail on ${count(wrong, 'task')} of ${proofs.length}`)}`);
    }
    for (const message of messages.slice(0, FAULTS_SHOWN)) io.stderr.write(`${io.paint('red', 'error')}: ${message}\n`);
    if (messages.length > FAULTS_SHOWN) io.stderr.write(`… and ${messages.length - FAULTS_SHOWN} more\n`);
  }
  return isSound ? 'ok' : 'usage';
};

/** What was proved, on how many tasks. */
function describe(proofs: readonly RewardProof[]): string {
  const answered = proofs.filter(({ gold }) => gold !== null).length;
  const silent = proofs.length - answered;
  return [
    ...(answered > 0 ? [`give the gold answer full marks, an empty one less, and the same twice (${count(answered, 'task')} tried)`] : []),
    ...(silent > 0 ? [`cannot be proved on ${count(silent, 'task')} without an answer`] : []),
  ].join('; ');
}

/** `rlrun check`: everything about a pipeline that can be proved without running its model. */
import { printResolved } from '../../config/index.ts';
import type { ProofFault, RewardProof } from '../../rewards/index.ts';
import type { Handler } from '../types.ts';
import { count } from '../../util/words.ts';
import { isSilent, proveRewards } from '../proof.ts';
import { modelProblems, readerOf } from '../suits.ts';
import { linesOf } from '../text.ts';
import { readMaterials, readPipeline, tellDiagnostics } from './load.ts';

const FAULTS_SHOWN = 3;

export const check: Handler = async (invocation) => {
  const { args: [file = ''], flags, io } = invocation;
  const read = await readPipeline(invocation);
  if (!read.ok) return read.exit;
  const { pipeline, shown, origins } = read.loaded;
  if (flags.resolved) {
    if (flags.json) io.json({ type: 'resolved', pipeline: shown });
    else io.print(printResolved(origins, { style: (text) => io.paint('dim', text, 'stdout') }));
  }
  const onOutput = (text: string) => linesOf(text).forEach((line) => io.say(io.paint('dim', `  ${line}`)));
  // Beside the tasks and rewards, some of which start a worker.
  const model = readerOf(pipeline, io);
  const loaded = await readMaterials(read.loaded, { io, ...(flags.verbose ? { onOutput } : {}), signal: io.signal });
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
  for await (const proof of proveRewards(pipeline, { materials, signal: io.signal })) {
    const { name, taskset, proofs, wrong, messages } = proof;
    isSound &&= wrong === 0 && !isSilent(proof);
    if (flags.json) io.json({ type: 'proof', stage: name, taskset: taskset.name, train: taskset.train.length, eval: taskset.eval.length, proofs });
    else if (!flags.resolved) {
      io.say(`${name}: ${taskset.name}, ${count(taskset.train.length, 'task')} to learn from, ${taskset.eval.length} held out`);
      io.say(`${name}: rewards ${isSilent(proof) ? io.paint('red', 'give no verdict (null) on any task that was tried') : wrong === 0 ? describe(proofs) : io.paint('red', `fail on ${count(wrong, 'task')} of ${proofs.length}`)}`);
    }
    for (const message of messages.slice(0, FAULTS_SHOWN)) io.tell(`${io.paint('red', 'error')}: ${message}`);
    if (messages.length > FAULTS_SHOWN) io.tell(`… and ${messages.length - FAULTS_SHOWN} more`);
  }
  return isSound ? 'ok' : 'usage';
};

/** What was proved, on how many tasks. */
function describe(proofs: readonly RewardProof[]): string {
  const answered = proofs.filter(({ gold }) => gold !== null).length;
  const without = (gap: ProofFault) => proofs.filter(({ gold, faults }) => gold === null && faults.some(({ kind }) => kind === gap)).length;
  const [unanswered, silent] = [without('no_answer'), without('abstained')];
  return [
    ...(answered > 0 ? [`give the gold answer full marks, an empty one less, and the same twice (${count(answered, 'task')} tried)`] : []),
    ...(unanswered > 0 ? [`cannot be proved on ${count(unanswered, 'task')} without an answer`] : []),
    ...(silent > 0 ? [`give no verdict (null) on ${count(silent, 'task')}`] : []),
  ].join('; ');
}

/** `rlrun check`: everything about a pipeline that can be proved without a model. */
import { type ResolvedPipeline, printResolved } from '../../config/index.ts';
import { type Materials, promptText } from '../../pipeline/index.ts';
import { type RewardProof, proveReward } from '../../rewards/index.ts';
import type { Task } from '../../tasks/index.ts';
import type { Handler } from '../types.ts';
import { count } from '../../util/words.ts';
import { clip, oneLine } from '../text.ts';
import { readMaterials, readPipeline, tellDiagnostics } from './load.ts';

/** A reward that is wrong is wrong almost everywhere. */
const TASKS_PROVED = 8;
const FAULTS_SHOWN = 3;
const PROMPT_WIDTH = 80;

export const check: Handler = async (invocation) => {
  const { args: [file = ''], flags, io } = invocation;
  const read = await readPipeline(invocation);
  if (!read.ok) return read.exit;
  const { pipeline, origins } = read.loaded;
  if (flags.resolved) {
    if (flags.json) io.json({ type: 'resolved', pipeline });
    else io.print(printResolved(origins, { style: (text) => io.paint('dim', text, 'stdout') }));
  }
  const loaded = await readMaterials(read.loaded, { directory: io.cwd, signal: io.signal });
  if (!loaded.ok) {
    tellDiagnostics(loaded, invocation);
    return 'usage';
  }
  await using materials = loaded.materials;

  if (!flags.json && !flags.resolved) io.say(`${file} is valid: ${count(pipeline.stages.length, 'stage')}, model ${pipeline.model.name} from ${pipeline.model.fork}`);
  let isSound = true;
  for (const { taskset, scorer, name } of differentStages(pipeline, materials)) {
    const tasks = [...taskset.train.slice(0, TASKS_PROVED), ...taskset.eval.slice(0, 1)];
    const proofs = await proveReward({ scorer, tasks, signal: io.signal });
    const wrong = proofs.filter(({ faults }) => faults.some(isWrong)).length;
    isSound &&= wrong === 0;
    if (flags.json) io.json({ type: 'proof', stage: name, taskset: taskset.name, train: taskset.train.length, eval: taskset.eval.length, proofs });
    else if (!flags.resolved) {
      io.say(`${name}: ${taskset.name}, ${count(taskset.train.length, 'task')} to learn from, ${taskset.eval.length} held out`);
      io.say(`${name}: rewards ${wrong === 0 ? describe(proofs) : io.paint('red', `fail on ${count(wrong, 'task')} of ${proofs.length}`)}`);
    }
    const messages = faultMessages(proofs, tasks);
    for (const message of messages.slice(0, FAULTS_SHOWN)) io.stderr.write(`${io.paint('red', 'error')}: ${message}\n`);
    if (messages.length > FAULTS_SHOWN) io.stderr.write(`… and ${messages.length - FAULTS_SHOWN} more\n`);
  }
  return isSound ? 'ok' : 'usage';
};

/** A task without an answer leaves a gap in the proof; that is no fault of the reward. */
const isWrong = ({ kind }: RewardProof['faults'][number]): boolean => kind !== 'no_answer';

/** The first stage of each pair of tasks and rewards; an export has neither. */
function differentStages(pipeline: ResolvedPipeline, materials: Materials) {
  const stages = pipeline.stages.flatMap(({ name, kind }, index) => (kind === 'export' ? [] : [{ name, ...materials.stages[index]! }]));
  return [...Map.groupBy(stages, ({ taskset, scorer }) => `${taskset.hash}/${scorer.hash}`).values()].map(([first]) => first!);
}

/** What is wrong in the same words with several tasks is said once, of the first. */
function faultMessages(proofs: readonly RewardProof[], tasks: readonly Task[]): string[] {
  const faults = proofs.flatMap(({ taskId, faults }, index) => faults.filter(isWrong).map(({ message }) => ({ message, words: message.replaceAll(taskId, '…'), task: tasks[index]! })));
  return [...Map.groupBy(faults, ({ words }) => words).values()].map(([first, ...others]) => {
    const { message, task } = first!;
    return `${message}${others.length > 0 ? ` (and the same on ${count(others.length, 'other task')})` : ''}\n  its prompt: ${clip(oneLine(promptText(task)), PROMPT_WIDTH)}`;
  });
}

/** What was proved, on how many tasks. */
function describe(proofs: readonly RewardProof[]): string {
  const answered = proofs.filter(({ gold }) => gold !== null).length;
  const silent = proofs.length - answered;
  return [
    ...(answered > 0 ? [`give the gold answer full marks, an empty one less, and the same twice (${count(answered, 'task')} tried)`] : []),
    ...(silent > 0 ? [`cannot be proved on ${count(silent, 'task')} without an answer`] : []),
  ].join('; ');
}

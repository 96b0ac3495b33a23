/** `rlrun eval PIPELINE`: how good is the model now, on tasks that it does not learn from? */
import { createAgent } from '../../agents/index.ts';
import { createControls, evaluate } from '../../pipeline/index.ts';
import { count, formatScore } from '../../util/words.ts';
import type { Handler } from '../types.ts';
import { CommandError } from '../exit-codes.ts';
import { oneLine, table } from '../text.ts';
import { Workbench } from '../workbench.ts';

const EXAMPLES_SHOWN = 10;

export const evaluateModel: Handler = async (invocation) => {
  const { flags, io } = invocation;
  const panel = createControls(() => {});
  io.signal.addEventListener('abort', () => panel.controls.stop());
  await using workbench = new Workbench(invocation, { panel, listen: () => {} });
  const loaded = await workbench.load();
  if (!loaded.ok) return loaded.exit;
  const { pipeline, materials } = loaded.version.value;
  const index = pipeline.stages.findLastIndex(({ kind }) => kind === 'grpo' || kind === 'eval');
  const at = index === -1 ? 0 : index;
  const [stage, { taskset, scorer, surroundings }] = [pipeline.stages[at]!, materials.stages[at]!];
  const split = flags.split ?? 'eval';
  const tasks = taskset[split];
  if (tasks.length === 0) throw new CommandError('usage', `The taskset has no ${split} tasks.`, `Set taskset.split.${split} above 0.`);

  const { model, engine, tokenizer } = await workbench.open(loaded.version.value, { justLooking: true });
  workbench.refuseIfNoPromptFits(loaded.version.value, at, split);
  const checkpoint = flags.checkpoint === undefined ? await model.head() : flags.checkpoint === 'base' ? null : await model.find(flags.checkpoint);
  if (checkpoint) await engine.readState(await model.verifiedDirectory(checkpoint.id));
  const { metrics, interval, rollouts, tasks: measured } = await evaluate({
    ...{ tasks, scorer, agentSettings: stage.agent, seed: pipeline.seed, signal: panel.signal, sampler: engine.sampler },
    agent: createAgent({ settings: stage.agent, tokenizer, contextLength: engine.info.contextLength }),
    surroundings,
    settings: { ...stage.eval, tasks: flags.tasks ?? (split === 'eval' ? stage.eval.tasks : tasks.length), samples: flags.samples ?? stage.eval.samples },
    confidence: stage.promote.confidence,
  });
  const name = checkpoint?.name ?? 'base';
  if (flags.json) {
    for (const { turns: _, ...rollout } of rollouts) io.json({ type: 'rollout', ...rollout });
    io.json({ type: 'evaluation', model: pipeline.model.name, checkpoint: name, split, tasks: measured, metrics, interval });
    return 'ok';
  }
  io.say(`${pipeline.model.name} at ${name}, ${count(measured, `${split} task`)}`);
  const named = (Object.entries(metrics) as [keyof typeof metrics, number][]).filter(([metric]) => !/_(low|high)$/.test(metric));
  const range = (metric: keyof typeof metrics) => (metrics[`${metric}_low`] === undefined ? '' : `[${formatScore(metrics[`${metric}_low`])}, ${formatScore(metrics[`${metric}_high`])}]`);
  const percent = Math.round(stage.promote.confidence * 100);
  io.print(table([{ title: 'Metric' }, { title: 'Value', align: 'right' }, { title: `${percent} % interval` }], named.map(([metric, value]) => [metric.slice(5), formatScore(value), range(metric)])));
  if (flags.quiet) return 'ok';
  const wrong = rollouts.filter(({ id, reward }) => id.endsWith('-000') && reward !== null && reward < 1).slice(0, EXAMPLES_SHOWN);
  if (wrong.length > 0) {
    io.say(`\nnot fully solved, for example`);
    io.say(table([{ title: 'Task' }, { title: 'Prompt' }, { title: 'Completion' }, { title: 'Reward', align: 'right' }], wrong.map((rollout) => [rollout.taskId, oneLine(rollout.prompt), oneLine(rollout.completion), formatScore(rollout.reward)])));
  }
  return 'ok';
};

/** `rlrun PIPELINE --dry-run`: everything up to the first update: a few tasks, one group of answers each, their rewards. */
import { createAgent } from '../../agents/index.ts';
import { tryRollouts } from '../../pipeline/index.ts';
import { count, formatScore } from '../../util/words.ts';
import type { Io } from '../io.ts';
import type { Exit } from '../exit-codes.ts';
import { oneLine, table } from '../text.ts';
import type { Workbench } from '../workbench.ts';

const TASKS_TRIED = 3;

export async function dryRun(workbench: Workbench, { flags, io }: { flags: { json?: boolean }; io: Io }): Promise<Exit> {
  const loaded = await workbench.load();
  if (!loaded.ok) return loaded.exit;
  const { pipeline, materials } = loaded.version.value;
  const index = Math.max(0, pipeline.stages.findIndex(({ kind }) => kind === 'grpo'));
  const [stage, { taskset, scorer, surroundings }] = [pipeline.stages[index]!, materials.stages[index]!];
  const { model, engine, tokenizer } = await workbench.open(loaded.version.value, { justLooking: true });
  workbench.refuseIfNoPromptFits(loaded.version.value, index, 'train');
  const head = await model.head();
  if (head) await engine.readState(await model.verifiedDirectory(head.id));
  const groups = await tryRollouts({
    ...{ stage: { ...stage, batch: TASKS_TRIED }, seed: pipeline.seed, taskset, scorer, sampler: engine.sampler, signal: workbench.options.panel.signal },
    agent: createAgent({ settings: stage.agent, tokenizer, contextLength: engine.info.contextLength }),
    surroundings,
    step: (head?.step ?? 0) + 1,
  });
  if (flags.json) {
    for (const { rollouts, ...group } of groups) io.json({ type: 'group', ...group, rollouts });
    return 'ok';
  }
  io.say(`${pipeline.name}: ${count(engine.info.parameters, 'parameter')}, ${count(taskset.train.length, 'task')}; the first ${groups.length} of ${stage.batch} in a step, ${stage.group} answers each`);
  for (const { rollouts, spread } of groups) {
    io.print(`\n${oneLine(rollouts[0]!.prompt)}  (${spread})`);
    const cells = rollouts.map(({ completion, reward, advantage, stopReason, error }) => [oneLine(error?.message ?? completion), formatScore(reward), formatScore(advantage), stopReason]);
    io.print(table([{ title: 'Completion' }, { title: 'Reward', align: 'right' }, { title: 'Advantage', align: 'right' }, { title: 'Stopped' }], cells));
  }
  io.say('\nNothing was learnt and no step was made.');
  return 'ok';
}

/** A job in which every text that comes from a model, a user or a file tries to become part of the page. */
import type { Conversation, MetricsRow } from '../../src/events.ts';
import { event, held, rollout, row, writeJob } from './support.ts';

export const attacks = [
  '<script>hacked=1</script>',
  '</script><script>hacked=2</script>',
  '<img src=x onerror="hacked=3">',
  `"><svg onload=hacked=4>`,
  "' onmouseover='hacked=5",
  '</pre></details></main><b class=evil>',
  '<!--<script>',
  ']]></style></title><style>*{display:none}</style>',
  '${hacked=6}{{hacked=7}}',
  '<a href="javascript:hacked=8">x</a>',
] as const;

const all = attacks.join(' ');

/** Every place of a conversation in which somebody's words stand. */
export const hostileConversation = (attack: string): Conversation => ({
  environmentMs: 1,
  messages: [
    { role: 'assistant', content: attack, reasoning: attack, toolCalls: [{ id: attack, name: attack, arguments: { [attack]: all } }] },
    { role: 'tool', content: attack, toolCallId: attack, name: attack, failure: 'error' },
    { role: 'user', content: all },
    { role: 'assistant', content: all, heard: true },
  ],
  verdict: { reward: 1, info: { [attack]: all }, subscores: [{ name: attack, value: 1, weight: 1 }] },
});

export async function writeHostileJob(project: string): Promise<void> {
  const metrics = (reward: number): MetricsRow['metrics'] => ({ reward, within_group_reward_std: 0.1, [`rewards/${all}/mean`]: reward / 2, [all]: reward, entropy: 1 - reward });
  const checkpoint = { id: all, name: all, parent: all, step: 2, meanReward: 0.5, evalReward: 0.5 };
  const rollouts = attacks.map((attack, index) =>
    rollout({
      ...{ id: `000001-0000-00${index}`, taskId: attack, groupId: attack, prompt: all, completion: attack, reward: index / 10, advantage: -0.1 },
      subscores: [{ name: attack, value: 1, weight: 1, children: [{ name: all, value: 0, weight: 1 }] }],
      ...(index % 2 === 0 ? { conversation: hostileConversation(attack) } : {}),
      ...(index % 3 === 0 ? { error: { phase: 'scoring' as const, type: 'exception' as const, message: all }, reward: null } : {}),
    }),
  );
  await writeJob(project, {
    meta: {
      ...{ id: 'hostile-20261125-100000-0666', pipeline: all, file: `/${all}`, model: all, device: all, argv: ['rlrun', ...attacks], cwd: all, reason: all, status: 'failed', parent: 'gone' },
      ...{ start: { checkpoint: all, step: 0 }, git: { commit: all, dirty: true }, host: { platform: all, cpus: 2, memoryGb: 1 }, versions: { [all]: all, rlrun: all } },
    },
    source: `name: "${all}"\n`,
    rows: [row(0, held(0.2), { stage: all }), row(1, metrics(0.1), { stage: all }), row(2, metrics(0.3), { stage: `${all}2` }), row(2, {}, { kind: 'rollback', reason: all, checkpoint: all }), row(3, { ...metrics(0.6), ...held(0.6) }, { stage: `${all}2` })],
    events: [
      event('job-started', { jobId: all, pipeline: all, file: all, model: all, base: all, device: all, seed: 1, loss: all, stages: [], totalSteps: 3, parameters: 1, trainableParameters: 1, threads: 1, parentJob: null, resumedFrom: null, head: all, directory: all }),
      event('warning', { step: 1, code: all, message: all, fix: all }),
      event('checkpoint-saved', { step: 2, checkpoint }),
      event('promoted', { step: 2, checkpoint: all, previous: null, reason: all }),
      event('exported', { directory: all, format: all }),
    ],
    rollouts: { 1: rollouts },
  });
}

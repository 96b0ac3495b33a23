/** @file Groups, sampling, time limits: can these rollouts teach anything? */
import { formatDuration } from '../duration.ts';
import type { StageRule } from './context.ts';

export const samplingRules: readonly StageRule[] = [
  function groupHasSomethingToCompare({ trainsOnRollouts, stage, report }) {
    if (trainsOnRollouts && stage.group === 1) report('group-too-small', 'a group of 1 has nothing to compare: every advantage would be 0', [['group']], { fix: 'use 2 or more' });
  },

  function trainingSamplesAtATemperature({ trainsOnRollouts, stage, report }) {
    if (trainsOnRollouts && stage.agent.temperature === 0) {
      report('greedy-training', 'at temperature 0 all rollouts of a group are equal, so nothing can be learnt from them', [['agent', 'temperature']], { fix: 'use 1; evaluation is greedy anyway' });
    }
  },

  function attemptsDiffer({ evaluates, trainsOnRollouts, stage, report }) {
    // In a training stage the error above says it already.
    if (evaluates && !trainsOnRollouts && stage.eval.samples > 0 && stage.agent.temperature === 0) {
      report('greedy-samples', `at temperature 0 the ${stage.eval.samples} sampled attempts of a task are all equal`, [['eval', 'samples'], ['agent', 'temperature']], { fix: 'use samples: 0 for greedy accuracy alone, or a temperature above 0' });
    }
  },

  function trainingSamplesTheWholeDistribution({ trainsOnRollouts, stage, report }) {
    if (!trainsOnRollouts) return;
    const why = 'sampling and training would see different probabilities';
    if (stage.agent.topP < 1) report('truncated-sampling', `"agent.top_p" must be 1 in a training stage: ${why}`, [['agent', 'top_p']], { fix: 'remove it' });
    if (stage.agent.topK > 0) report('truncated-sampling', `"agent.top_k" must be 0 in a training stage: ${why}`, [['agent', 'top_k']], { fix: 'remove it' });
  },

  function systemPromptIsRead({ stage, isWritten, report }) {
    if (stage.agent.kind === 'completion' && stage.agent.system !== null && isWritten(['agent', 'system'])) {
      report('no-effect', '"agent.system" does nothing with kind: completion, whose prompt is the text alone', [['agent', 'system'], ['agent', 'kind']], { fix: 'use kind: chat' });
    }
  },

  function toolsAreCalledInChat({ stage, report }) {
    if (stage.tools.length > 0 && stage.agent.kind !== 'chat') report('tools-without-chat', '"tools" are told to the model by its chat template, which kind: completion does not use', [['tools'], ['agent', 'kind']], { fix: 'use agent: { kind: chat }' });
  },

  function toolsGetTheirTurn({ stage, isWritten, report }) {
    if (stage.tools.length > 0 && stage.agent.maxSteps === 1 && isWritten(['agent', 'max_steps'])) {
      report('no-effect', '"tools" are called, but with max_steps: 1 the model never sees a result', [['agent', 'max_steps'], ['tools']], { fix: 'use 2 or more' });
    }
  },

  function toolsComeFromOnePlace({ stage, report }) {
    for (const [index, tools] of stage.tools.entries()) {
      if (tools.kind === 'mcp' && 'command' in tools && tools.command.length === 0) report('tools-without-source', 'an MCP server is either started or called: name "command" or "url"', [['tools', index]], { fix: 'such as command: [python3, server.py]' });
    }
  },

  function templateIsFilledIn({ stage, isWritten, report }) {
    if (stage.agent.kind === 'completion' && Object.keys(stage.agent.templateArgs).length > 0 && isWritten(['agent', 'template_args'])) {
      report('no-effect', '"agent.template_args" does nothing with kind: completion, which has no template', [['agent', 'template_args'], ['agent', 'kind']], { fix: 'use kind: chat' });
    }
  },

  function stepHasTasksEnough({ learns, stage, isWritten, report }) {
    if (learns && stage.batch > stage.taskset.split.train && (isWritten(['batch']) || isWritten(['taskset', 'split', 'train']))) {
      report('repeated-tasks', `a batch of ${stage.batch} draws the same task more than once, since there are ${stage.taskset.split.train} for training`, [['batch'], ['taskset', 'split', 'train']]);
    }
  },

  function limitsAreOrdered({ stage, isWritten, report }) {
    const { rolloutTimeoutMs: whole, setupTimeoutMs, scoreTimeoutMs } = stage.runtime;
    for (const [key, part] of [['setup_timeout', setupTimeoutMs], ['score_timeout', scoreTimeoutMs]] as const) {
      if (part > whole && isWritten(['runtime', key])) {
        report('timeout-order', `"runtime.${key}" (${formatDuration(part)}) is longer than the whole rollout may take (${formatDuration(whole)})`, [['runtime', key], ['runtime', 'timeout']], { fix: `at most ${formatDuration(whole)}` });
      }
    }
    for (const [index, reward] of stage.reward.entries()) {
      if (reward.kind === 'command' && reward.timeoutMs > whole && isWritten(['reward', index, 'timeout'])) {
        report('timeout-order', `"reward[${index}].timeout" (${formatDuration(reward.timeoutMs)}) is longer than the whole rollout may take (${formatDuration(whole)})`, [['reward', index, 'timeout'], ['runtime', 'timeout']], { fix: `at most ${formatDuration(whole)}` });
      }
    }
  },

  function programIsStarted({ stage, isWritten, report }) {
    if (stage.runtime.kind === 'local' && isWritten(['runtime', 'command'])) {
      report('no-effect', '"runtime.command" is not started with kind: local', [['runtime', 'command'], ['runtime', 'kind']], { fix: 'use kind: subprocess' });
    }
  },
];

/** @file Everything that is named by its path exists, and the model's context is long enough. */
import { basename, dirname, join } from 'node:path';
import { asSeenFrom, contextLength, isDirectory } from '../context-length.ts';
import type { RewardSettings } from '../types.ts';
import { nearest } from '../suggest.ts';
import type { Path } from '../tree.ts';
import type { StageContext, StageRule } from './context.ts';

export const fileRules: readonly StageRule[] = [
  async function namedFilesExist(context) {
    const { stage, pipeline } = context;
    const named: { path: Path; file: string; what: string }[] = [];
    if (!stage.taskset.source.startsWith('builtin:')) named.push({ path: ['taskset', 'source'], file: stage.taskset.source, what: 'taskset' });
    if (stage.train.loss.kind === 'module') named.push({ path: ['train', 'loss', 'path'], file: stage.train.loss.path, what: 'loss module' });
    if (context.isWritten(['runtime', 'cwd'])) named.push({ path: ['runtime', 'cwd'], file: stage.runtime.cwd, what: 'directory' });
    const { fork } = pipeline.model;
    if (fork.startsWith('config:')) named.push({ path: ['model', 'fork'], file: fork.slice('config:'.length), what: 'model configuration' });
    else if (isDirectory(fork)) named.push({ path: ['model', 'fork'], file: fork, what: 'model directory' });
    for (const [index, tools] of stage.tools.entries()) {
      if (tools.kind === 'module') named.push({ path: ['tools', index, 'path'], file: tools.path, what: 'module of tools' });
    }
    collectFiles(stage.reward, ['reward'], context, named);
    for (const { path, file, what } of named) {
      if (await context.fileSystem.exists(file)) continue;
      context.lookFor(file);
      const meant = nearest(basename(file), await context.fileSystem.list(dirname(file)));
      context.report('file-not-found', `there is no ${what} ${asSeenFrom(pipeline.file, file)}`, [path], { fix: meant === undefined ? undefined : `did you mean "${meant}"?` });
    }
  },

  async function answersFitIntoTheContext({ stage, pipeline, evaluates, fileSystem, report }) {
    if (!evaluates) return;
    const context = await contextLength(pipeline.model.fork, { pipelineFile: pipeline.file, fileSystem });
    if (context === null || stage.agent.maxTokens < context.length) return;
    report('context-too-small', `answers of ${stage.agent.maxTokens} tokens leave no room for a prompt: the context of the model has ${context.length} tokens`, [['agent', 'max_tokens'], ['model', 'fork']], {
      fix: `at most ${context.length - 1}, less the prompt`, related: [{ message: 'the context of the model is set here', at: context.at }],
    });
  },
];

function collectFiles(rewards: readonly RewardSettings[], path: Path, context: StageContext, into: { path: Path; file: string; what: string }[]): void {
  for (const [index, reward] of rewards.entries()) {
    const here = [...path, index];
    if (reward.kind === 'module') into.push({ path: [...here, 'path'], file: reward.path, what: 'reward module' });
    if (reward.kind === 'command') {
      if (context.isWritten([...here, 'cwd'])) into.push({ path: [...here, 'cwd'], file: reward.cwd, what: 'directory' });
      // A name without a slash is looked up in PATH, which is not ours to judge.
      const program = reward.command[0] ?? '';
      if (program.startsWith('./') || program.startsWith('../')) into.push({ path: [...here, 'command', 0], file: join(reward.cwd, program), what: 'program' });
    }
    if (reward.kind === 'any' || reward.kind === 'all') collectFiles(reward.rewards, [...here, 'rewards'], context, into);
  }
}

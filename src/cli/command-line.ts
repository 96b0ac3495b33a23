/** What was typed, in rlrun's own words: a pipeline alone is run, and what other programs call their commands is answered with ours. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { didYouMean } from '../util/did-you-mean.ts';
import { quoted } from '../util/words.ts';
import { commands, firstWords } from './commands.ts';
import { CommandError } from './exit-codes.ts';
import type { Io } from './io.ts';

/** Words for a command elsewhere → the command here. */
const otherWords: Readonly<Record<string, keyof typeof commands>> = {
  train: 'run', start: 'run', fit: 'run', learn: 'run', go: 'run', exec: 'run', execute: 'run', resume: 'run', watch: 'run',
  validate: 'check', lint: 'check', verify: 'check', test: 'check',
  evaluate: 'eval', measure: 'eval', benchmark: 'eval', bench: 'eval',
  list: 'models list', ls: 'models list', fork: 'models fork', checkpoints: 'models checkpoints', head: 'models head', promote: 'models head', rollback: 'models head',
  diff: 'models diff', export: 'models export', save: 'models export', prune: 'models prune', clean: 'models prune',
  generate: 'sample', chat: 'sample', ask: 'sample', complete: 'sample', infer: 'sample', predict: 'sample', repl: 'sample',
  logs: 'jobs', log: 'jobs', history: 'jobs', status: 'jobs', ps: 'jobs', runs: 'jobs', show: 'trace', rollout: 'trace', rollouts: 'trace', plot: 'report', html: 'report',
  new: 'init', create: 'init', setup: 'init', completion: 'completions',
};

/** Throws a `CommandError` for a first word that means nothing here, with the command that was probably meant. */
export function commandLineOf(argv: readonly string[], io: Pick<Io, 'cwd'>): readonly string[] {
  const [first, ...rest] = argv;
  if (first === undefined || firstWords().includes(first)) return argv;
  if (first === 'help') return [...rest.filter((word) => !word.startsWith('-')), '--help'];
  if (first === 'version' || first === '-v') return ['--version'];
  const isFile = (word: string) => !word.startsWith('-') && (/[./\\]/.test(word) || existsSync(resolve(io.cwd, word)));
  if (first.startsWith('-')) return argv.some(isFile) && !argv.some((word) => firstWords().includes(word)) ? ['run', ...argv] : argv;
  if (isFile(first)) return ['run', ...argv];
  throw unknownCommand(first, rest, io);
}

function unknownCommand(first: string, rest: readonly string[], { cwd }: Pick<Io, 'cwd'>): CommandError {
  const meant = pipelineNamed(first, cwd) ?? (Object.hasOwn(otherWords, first) ? otherWords[first] : undefined);
  const there = 'rlrun --help shows what there is.';
  const fix = meant === undefined ? `${didYouMean(first, firstWords())}${there}` : `Did you mean: rlrun ${[meant, ...rest.map(quoted)].join(' ')}\n  ${there}`;
  return new CommandError('usage', `There is no command "${first}".`, fix);
}

/** `rlrun arith` beside an arith.yaml. */
const pipelineNamed = (word: string, cwd: string): string | undefined => [`${word}.yaml`, `${word}.yml`].find((file) => existsSync(resolve(cwd, file)));

/** The table of commands: parsing, help, completion and the lazy loading of code all come from it. */
import type { CommandSpec, Handler } from './types.ts';

const pipeline = { syntax: '<pipeline>', description: 'a pipeline file (YAML)', value: 'pipeline' } as const;
const model = { syntax: '<model>', description: 'the slug of a model', value: 'model' } as const;

export const commands = {
  run: {
    summary: 'run a pipeline; `rlrun PIPELINE` is short for it',
    args: [pipeline],
    flags: ['setMany', 'resume', 'watch', 'from', 'device', 'threads', 'seed', 'dryRun', 'tui', 'json', 'verbose', 'quiet'],
    examples: ['rlrun pipelines/arith.yaml', 'rlrun pipelines/arith.yaml --set train.learning_rate=3e-4 --seed 8', 'rlrun pipelines/arith.yaml --resume'],
    usesStore: true,
    load: async () => (await import('./commands/run.ts')).run,
  },
  check: {
    summary: 'prove a pipeline without running it: the file, its tasks, its rewards',
    args: [pipeline],
    flags: ['setMany', 'resolved', 'json', 'verbose', 'quiet'],
    examples: ['rlrun check pipelines/arith.yaml --resolved'],
    load: async () => (await import('./commands/check.ts')).check,
  },
  eval: {
    summary: "measure a pipeline's model on the held-out tasks",
    args: [pipeline],
    flags: ['setMany', 'checkpoint', 'split', 'tasks', 'samples', 'device', 'threads', 'seed', 'json', 'quiet'],
    examples: ['rlrun eval pipelines/arith.yaml --samples 8', 'rlrun eval pipelines/arith.yaml --checkpoint base'],
    usesStore: true,
    load: async () => (await import('./commands/eval.ts')).evaluateModel,
  },
  'models list': {
    summary: 'models and the bases that they can be forked from',
    flags: ['json', 'quiet'],
    usesStore: true,
    load: async () => (await import('./commands/models.ts')).list,
  },
  'models fork': {
    summary: 'make a trainable model from a base, a directory, the Hub, or a checkpoint of another model',
    args: [{ syntax: '<source>', description: 'builtin:…, hub:org/name, ./dir, slug or slug@checkpoint', value: 'source' }],
    flags: ['name', 'ifNotExists', 'dryRun', 'json', 'quiet'],
    examples: ['rlrun models fork builtin:arith-tiny --name arith-rl'],
    usesStore: true,
    load: async () => (await import('./commands/models.ts')).fork,
  },
  'models checkpoints': {
    summary: 'the tree of checkpoints, with the head marked',
    args: [model],
    flags: ['json', 'quiet'],
    usesStore: true,
    load: async () => (await import('./commands/models.ts')).checkpoints,
  },
  'models head': {
    summary: 'the checkpoint that is sampled now; with --set, move it',
    args: [model],
    flags: ['set', 'dryRun', 'json'],
    examples: ['rlrun models head arith-rl --set step-000020'],
    usesStore: true,
    load: async () => (await import('./commands/models.ts')).head,
  },
  'models diff': {
    summary: 'how far the weights of two checkpoints are apart',
    args: [model, { syntax: '<from>', description: 'a checkpoint, or "base"', value: 'checkpoint' }, { syntax: '[to]', description: 'a checkpoint; the head by default', value: 'checkpoint' }],
    flags: ['limit', 'json'],
    usesStore: true,
    load: async () => (await import('./commands/models.ts')).diff,
  },
  'models export': {
    summary: 'bake a checkpoint into a directory that other tools load',
    args: [model],
    flags: ['out', 'checkpoint', 'format', 'dtype', 'force', 'json'],
    examples: ['rlrun models export arith-rl --out ./arith-rl-q8 --dtype q8'],
    usesStore: true,
    load: async () => (await import('./commands/models.ts')).exportModel,
  },
  'models prune': {
    summary: 'delete the weights of older checkpoints; their places in the tree stay',
    args: [model],
    flags: ['keep', 'dryRun', 'json'],
    usesStore: true,
    load: async () => (await import('./commands/models.ts')).prune,
  },
  jobs: {
    summary: 'the jobs so far, or one of them',
    args: [{ syntax: '[job]', description: 'the id of a job, or "latest"', value: 'job' }],
    flags: ['limit', 'json'],
    usesStore: true,
    load: async () => (await import('./commands/jobs.ts')).jobs,
  },
  trace: {
    summary: 'one rollout from prompt to advantage',
    args: [{ syntax: '<id>', description: 'a rollout (of the latest job), or JOB/ROLLOUT', value: 'rollout' }],
    flags: ['json'],
    examples: ['rlrun trace 000012-0003-001'],
    usesStore: true,
    load: async () => (await import('./commands/trace.ts')).trace,
  },
  sample: {
    summary: 'let a model answer, token by token',
    args: [model, { syntax: '[prompt]', description: 'the text to go on from; "-" reads it from stdin. Without one, a terminal is asked for lines' }],
    flags: ['chat', 'system', 'checkpoint', 'temperature', 'maxTokens', 'seed', 'device', 'threads', 'json'],
    examples: ['rlrun sample arith-rl "27+15="', 'rlrun sample countdown "Reach 46 with the numbers 3, 7, 25 and + - * /." --chat', 'rlrun sample countdown --chat --system "Answer with the expression alone."'],
    usesStore: true,
    load: async () => (await import('./commands/sample.ts')).sample,
  },
  report: {
    summary: 'one self-contained HTML page about one or more jobs',
    args: [{ syntax: '<jobs...>', description: 'ids of jobs, or "latest"', value: 'job' }],
    flags: ['out', 'tensorboard', 'json'],
    examples: ['rlrun report latest', 'rlrun report JOB-A JOB-B --out compare.html'],
    usesStore: true,
    load: async () => (await import('./commands/report.ts')).report,
  },
  losses: {
    summary: 'the losses, and what each name stands for',
    flags: ['json'],
    load: async () => (await import('./commands/losses.ts')).losses,
  },
  init: {
    summary: 'write a commented pipeline to start from',
    args: [{ syntax: '[file]', description: 'pipeline.yaml by default', value: 'pipeline' }],
    flags: ['force', 'json', 'quiet'],
    load: async () => (await import('./commands/init.ts')).init,
  },
  completions: {
    summary: 'a completion script for your shell',
    args: [{ syntax: '<shell>', description: 'bash, zsh or fish', value: 'shell' }, { syntax: '[words...]', description: 'for the script itself: the words so far, of which the last may be completed' }],
    flags: [],
    examples: ['eval "$(rlrun completions bash)"     # in ~/.bashrc; zsh the same, after compinit', 'rlrun completions fish > ~/.config/fish/completions/rlrun.fish'],
    load: async (): Promise<Handler> => (await import('./commands/completions.ts')).completions(commands),
  },
} as const satisfies Record<string, CommandSpec>;

export type CommandName = keyof typeof commands;

export const groupSummaries: Record<string, string> = { models: 'list, fork, compare, export and prune models' };

/** What may stand first on the command line: commands without their subcommand, in table order. */
export const firstWords = (): string[] => [...new Set(Object.keys(commands).map((name) => name.split(' ')[0]!))];

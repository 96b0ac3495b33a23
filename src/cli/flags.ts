/** Every flag of every command, once: its type, how it is written and what it is for. */

export interface Flags {
  chat: boolean;
  checkpoint: string;
  device: 'cpu' | 'webgpu' | 'cuda';
  dryRun: boolean;
  dtype: 'fp32' | 'fp16' | 'q8' | 'q4';
  force: boolean;
  format: 'transformers.js' | 'safetensors' | 'peft';
  from: string;
  ifNotExists: boolean;
  json: boolean;
  keep: number;
  limit: number;
  maxTokens: number;
  name: string;
  out: string;
  quiet: boolean;
  resolved: boolean;
  resume: boolean;
  samples: number;
  seed: number;
  set: string;
  setMany: string[];
  split: 'train' | 'eval';
  system: string;
  tasks: number;
  temperature: number;
  tensorboard: string;
  threads: number;
  tui: boolean;
  verbose: boolean;
  watch: boolean;
}

export type Flag = keyof Flags;

/** What a value names, for completions. */
export type Value = 'pipeline' | 'model' | 'source' | 'checkpoint' | 'job' | 'rollout' | 'file' | 'folder' | 'shell' | 'setting';

/** What may be given: the bounds are part of it. */
export interface NumberSpec {
  isWhole?: boolean;
  from: number;
  to?: number;
}

export interface FlagSpec {
  /** As commander reads it. */
  syntax: string;
  description: string;
  choices?: readonly string[];
  value?: Value;
  number?: NumberSpec;
  /** May be given again and again; never split at commas. */
  repeatable?: boolean;
}

const count: NumberSpec = { isWhole: true, from: 1 };
const whole: NumberSpec = { isWhole: true, from: 0 };

export const flagSpecs: { readonly [F in Flag]: FlagSpec } = {
  chat: { syntax: '--chat', description: 'send the prompt as a message, in the chat template of the model' },
  checkpoint: { syntax: '-c, --checkpoint <id>', description: 'this checkpoint instead of the head', value: 'checkpoint' },
  device: { syntax: '--device <device>', description: 'where to compute: `model.device` of a pipeline', choices: ['cpu', 'webgpu', 'cuda'] },
  dryRun: { syntax: '--dry-run', description: 'say what would happen, change nothing' },
  dtype: { syntax: '--dtype <dtype>', description: 'precision of the exported weights, fp32 by default', choices: ['fp32', 'fp16', 'q8', 'q4'] },
  force: { syntax: '-f, --force', description: 'replace what is there' },
  format: { syntax: '--format <format>', description: 'what the export is for, transformers.js by default', choices: ['transformers.js', 'safetensors', 'peft'] },
  from: { syntax: '--from <checkpoint>', description: 'begin at this checkpoint of the model, or at "base", instead of at its head', value: 'checkpoint' },
  ifNotExists: { syntax: '--if-not-exists', description: 'no error when it exists already' },
  json: { syntax: '--json', description: 'lines of JSON on stdout, for programs' },
  keep: { syntax: '--keep <n>', description: 'how many of the newest checkpoints stay, 1 by default; the head stays anyway', number: whole },
  limit: { syntax: '-n, --limit <n>', description: 'at most so many, 20 by default', number: count },
  maxTokens: { syntax: '--max-tokens <n>', description: 'end after so many tokens, 64 by default', number: count },
  name: { syntax: '-n, --name <slug>', description: 'the name of the new model' },
  out: { syntax: '-o, --out <path>', description: 'where to write', value: 'file' },
  quiet: { syntax: '-q, --quiet', description: 'errors only' },
  resolved: { syntax: '--resolved', description: 'print every value, and where it comes from' },
  resume: { syntax: '--resume', description: 'go on with the last interrupted job of this pipeline, as if it had not been interrupted' },
  samples: { syntax: '--samples <n>', description: 'sampled attempts per task, for pass@1 and pass@k; `eval.samples` by default', number: whole },
  seed: { syntax: '--seed <n>', description: 'where chance comes from: `seed` of a pipeline', number: whole },
  set: { syntax: '--set <id>', description: 'move the head to this checkpoint; "base" for the model as it was forked', value: 'checkpoint' },
  setMany: { syntax: '--set <path=value>', description: 'override a value of the pipeline; may be repeated', repeatable: true, value: 'setting' },
  split: { syntax: '--split <split>', description: 'which tasks, eval by default', choices: ['train', 'eval'] },
  system: { syntax: '--system <text>', description: 'the first message of the chat; with --chat' },
  tasks: { syntax: '--tasks <n>', description: 'how many tasks; all by default, `eval.tasks` of the held-out ones', number: count },
  temperature: { syntax: '-t, --temperature <t>', description: 'how much chance there is in an answer; 0 by default, which is greedy', number: { from: 0, to: 10 } },
  tensorboard: { syntax: '--tensorboard <dir>', description: 'write TensorBoard event files as well', value: 'folder' },
  threads: { syntax: '--threads <n>', description: 'threads to compute with: `model.threads` of a pipeline', number: { ...whole, to: 1024 } },
  tui: { syntax: '--no-tui', description: 'lines instead of the full screen' },
  verbose: { syntax: '--verbose', description: 'what rewards and tasks print as well' },
  watch: { syntax: '-w, --watch', description: 'stay, and run again when a file of the pipeline changes' },
};

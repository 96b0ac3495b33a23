/** `rlrun init`: a commented pipeline that runs as it is. */
import { open, rm } from 'node:fs/promises';
import { dirname, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import writeFileAtomic from 'write-file-atomic';
import type { Handler } from '../types.ts';
import { CommandError } from '../exit-codes.ts';
import { ignoreInGit } from '../git-ignore.ts';
import { quoted } from '../../util/words.ts';

const schemaFile = fileURLToPath(new URL('../../../schemas/pipeline.schema.json', import.meta.url));

/** Editors complete and explain every key with the help of the first line. */
export const template = ({ file, schema }: { file: string; schema: string }): string => `# yaml-language-server: $schema=${schema}
#
# Run it with:           rlrun ${file}
# See every default:     rlrun check ${file} --resolved

name: my-first-model
seed: 7

model:
  fork: builtin:arith-tiny        # or hub:org/name, ./directory, another-model@step-000010
  name: my-first-model            # sample it with: rlrun sample my-first-model "12+34="
  train: { method: full }         # or { method: lora, rank: 16 } for larger models

taskset:
  source: builtin:arith           # or ./tasks.jsonl, ./tasks.ts
  args: { operations: [add, subtract], digits: 2 }
  split: { train: 4096, eval: 500 }
  seed: 7                         # which tasks are held out; this base has not seen these either

agent:
  kind: completion                # or chat, for models with a chat template
  max_tokens: 8
  temperature: 1

reward:
  - { kind: numeric_match }
  # Your own, in TypeScript:
  # - { kind: module, path: ./reward.ts, weight: 0.5 }

group: 8                          # attempts at each task: the model learns from how they differ
batch: 64                         # tasks per step
steps: 150

train:
  learning_rate: 1e-4
  loss: importance_sampling       # rlrun losses shows the others

eval: { every: 10 }               # how it does on tasks that it does not learn from
promote: { when: always }         # or better: move the head only when the held-out score has really risen
`;

/** All of it or, as on a full disk, nothing. */
async function writeNew(path: string, text: string): Promise<void> {
  const handle = await open(path, 'wx');
  try {
    await handle.writeFile(text);
  } catch (error) {
    await rm(path, { force: true });
    throw Object.assign(error as Error, { path });
  } finally {
    await handle.close();
  }
}

export const init: Handler = async ({ args: [file = 'pipeline.yaml'], flags, io }) => {
  const path = resolve(io.cwd, file);
  const schema = relative(dirname(path), schemaFile).split(sep).join('/');
  const text = template({ file: quoted(file), schema: schema.startsWith('.') ? schema : `./${schema}` });
  await (flags.force ? writeFileAtomic(path, text) : writeNew(path, text)).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'EEXIST') throw new CommandError('conflict', `${file} exists already.`, 'Choose another name, or replace it with --force.');
    if (error.code === 'ENOENT') throw new CommandError('notFound', `The folder of ${file} does not exist.`, 'Make it first.');
    throw error;
  });
  const ignored = io.env['RLRUN_HOME'] ? null : await ignoreInGit(io.cwd);
  if (flags.json) io.json({ type: 'pipeline-written', file: path });
  if (ignored !== null) io.say(ignored);
  io.say(`wrote ${file}; run it with: rlrun ${quoted(file)}`);
  return 'ok';
};

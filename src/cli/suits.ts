/** Does the model suit the pipeline? What a run would find once the model is open, as far as files on this disk tell. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createAgent, preparingOnce } from '../agents/index.ts';
import { type Diagnostic, type DiagnosticCode, type LoadResult, type ResolvedPipeline, contextLength, diagnoseLoadError } from '../config/index.ts';
import { type Materials, type PromptWarning, promptWarnings, refusePrompts } from '../pipeline/index.ts';
import type { Tokenizer } from '../policy/types.ts';
import type { Task } from '../tasks/index.ts';
import { exitOf } from './exit-codes.ts';
import type { Io } from './io.ts';
import { storeOf } from './store.ts';

interface Finding {
  code: DiagnosticCode;
  stage: number;
  /** A path inside the stage, or of `model`. */
  key: string;
  message: string;
  fix: string;
}

/** How a model reads; null where it has not been downloaded yet. */
export type Reader = { ok: true; reader: { tokenizer: Tokenizer; contextLength: number } | null } | { ok: false; finding: Finding };

/** Of the model as it is, or as it would be forked. */
export async function readerOf(pipeline: ResolvedPipeline, io: Io): Promise<Reader> {
  try {
    const directory = await baseOf(pipeline.model, io);
    if (directory === null || !existsSync(join(directory, 'tokenizer.json'))) return { ok: true, reader: null };
    const { loadTokenizer } = await import('../policy/index.ts');
    const context = await contextLength(directory, { pipelineFile: pipeline.file });
    const tokenizer = await loadTokenizer(directory).catch((cause: Error) => Promise.reject(Object.assign(cause, { kind: 'usage', fix: `The model's files are in ${directory}.` })));
    return { ok: true, reader: { tokenizer, contextLength: context?.length ?? Infinity } };
  } catch (error) {
    if (exitOf(error) === null) throw error;
    const { message, fix } = error as Error & { fix?: string | null };
    return { ok: false, finding: { code: 'not-loaded', stage: 0, key: 'model.fork', message, fix: fix ?? '' } };
  }
}

/** Null before a download. */
async function baseOf({ fork, name, train }: ResolvedPipeline['model'], io: Io): Promise<string | null> {
  const [{ parseSource }, store] = await Promise.all([import('../models/index.ts'), storeOf(io)]);
  const isAtTheHub = parseSource(fork, { cwd: io.cwd }).kind === 'hub' && !(await store.model(name).then(Boolean, () => false));
  if (isAtTheHub) return null;
  const method = train.method === 'full' ? train : { ...train, targets: [...train.targets] };
  return (await store.fork({ source: fork, slug: name, train: method, ifNotExists: true, dryRun: true })).record.baseDirectory;
}

/** What is wrong, each thing once and at its place. */
export async function modelProblems({ pipeline, origins }: LoadResult & { ok: true }, { model, materials, directory }: { model: Reader; materials: Materials; directory: string }): Promise<Diagnostic[]> {
  const reader = model.ok ? model.reader : null;
  const findings = model.ok ? [] : [model.finding];
  if (reader) for (const [index, stage] of pipeline.stages.entries()) if (stage.kind !== 'export') findings.push(...stageFindings(index, { ...reader, pipeline, materials }));
  const once = [...new Map(findings.map((finding) => [finding.message, finding])).values()];
  return Promise.all(once.map(({ code, stage, ...error }) => diagnoseLoadError({ origins, code, stage, directory, error: { ...error, at: null, files: [] } })));
}

interface StageOptions {
  pipeline: ResolvedPipeline;
  materials: Materials;
  tokenizer: Tokenizer;
  contextLength: number;
}

function stageFindings(stage: number, { pipeline, materials, tokenizer, contextLength: length }: StageOptions): Finding[] {
  const { kind, agent: settings, eval: measured } = pipeline.stages[stage]!;
  const { taskset } = materials.stages[stage]!;
  const of = (code: DiagnosticCode, key: string, said: { message: string; fix: string } | null): Finding[] => (said ? [{ code, stage, key, ...said }] : []);
  if (settings.kind === 'chat' && !tokenizer.applyChatTemplate) {
    return of('not-loaded', 'agent.kind', { message: `${pipeline.model.fork} has no chat template, which agent: { kind: chat } needs`, fix: 'Write agent: { kind: completion }, or fork a model that was made for chat.' });
  }
  const room = (split: 'train' | 'eval') => ({ settings, contextLength: length, split });
  for (const split of ['train', 'eval'] as const) {
    const refused = refusePrompts(taskset[split], { ...room(split), tokenizer });
    if (refused) return of('not-loaded', refused.key ?? 'taskset', refused);
  }
  const agent = preparingOnce(createAgent({ settings, tokenizer, contextLength: length }));
  const warnings = (split: 'train' | 'eval', tasks: readonly Task[]) => promptWarnings(tasks, { ...room(split), agent, tokenizer, teaches: kind === 'sft' });
  return [...warnings('train', taskset.train), ...warnings('eval', taskset.eval.slice(0, measured.tasks))].flatMap(({ code, message, fix }) => of('unsuited-tasks', keyOf[code], { message, fix }));
}

/** The setting that a warning is about. */
const keyOf: { readonly [C in PromptWarning['code']]: string } = {
  context_overflow: 'agent.max_tokens',
  long_answers: 'agent.max_tokens',
  unknown_text: 'taskset.source',
  unsuited_tasks: 'agent',
  generation_prompt: 'agent.kind',
};

/** @file Settings that are each fine and together are not. Runs once the schema has nothing left to say. */
import { diagnose, type Diagnostic } from '../diagnostics.ts';
import type { FileSystem } from '../files.ts';
import type { ResolvedDocument } from '../resolve.ts';
import { child, placeOf } from '../tree.ts';
import type { ResolvedPipeline } from '../types.ts';
import { stageContext, type StageRule } from './context.ts';
import { evaluationRules } from './evaluation.ts';
import { fileRules } from './files.ts';
import { modelRules } from './model.ts';
import { rewardRules } from './rewards.ts';
import { runtimeRules } from './runtime.ts';
import { samplingRules } from './sampling.ts';
import { trainingRules } from './training.ts';

const stageRules: readonly StageRule[] = [...modelRules, ...samplingRules, ...rewardRules, ...trainingRules, ...evaluationRules, ...runtimeRules, ...fileRules];

export interface RuleOptions {
  document: ResolvedDocument;
  pipeline: ResolvedPipeline;
  fileSystem: FileSystem;
  /** Sections with errors: nothing is concluded from what is left of them. */
  unclear: ReadonlySet<string>;
  /** Hears of every file that is named and does not exist. */
  onFile: (path: string) => void;
}

/** Errors and warnings, unsorted; a problem that several stages inherit comes once per stage, at the same place. */
export async function checkRules({ document, pipeline, fileSystem, unclear, onFile }: RuleOptions): Promise<Diagnostic[]> {
  const found: Diagnostic[] = stageNamesAreUnique(document);
  const report = (diagnostic: Diagnostic): void => void found.push(diagnostic);
  for (const index of pipeline.stages.keys()) {
    const context = stageContext({ document, pipeline, index, fileSystem, unclear, report, lookFor: onFile });
    for (const rule of stageRules) await rule(context);
  }
  return found;
}

function stageNamesAreUnique({ stages }: ResolvedDocument): Diagnostic[] {
  const names = stages.map((stage) => child(stage, 'name'));
  return names.flatMap((node, index) => {
    const first = names.find((other) => other?.type === 'scalar' && node?.type === 'scalar' && other.value === node.value);
    const [at, firstAt] = [placeOf(node) ?? placeOf(stages[index]), placeOf(first) ?? placeOf(stages[names.indexOf(first)])];
    if (first === node || node?.type !== 'scalar' || at === null) return [];
    return [diagnose('repeated-name', `two stages are named "${String(node.value)}"`, at, { related: firstAt === null ? [] : [{ message: 'the first one is here', at: firstAt }] })];
  });
}

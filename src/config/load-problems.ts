/** @file What other rooms found wrong with a taskset or a reward, shown like every other problem of the file. */
import { relative } from 'node:path';
import type { LoadError } from '../util/load-error.ts';
import { diagnose, type Diagnostic, type DiagnosticCode } from './diagnostics.ts';
import { disk, type FileSystem } from './files.ts';
import type { ResolvedDocument } from './resolve.ts';
import type { Location } from './source.ts';
import { child, nearestPlace, type ConfigNode, type Path } from './tree.ts';

export interface LoadProblem {
  origins: ResolvedDocument;
  /** `error.key` is a path inside a stage: `taskset.args.digits`, `reward.0.pattern`. */
  error: LoadError;
  code?: DiagnosticCode;
  /** Index of the stage whose settings were loaded. */
  stage?: number;
  /** What names of files are relative to, where they lie below it. */
  directory?: string;
  fileSystem?: FileSystem;
}

/** At the line of the user's code if that is to blame, else at the setting; then the setting is the related place. */
export async function diagnoseLoadError({ origins, error, code = 'not-loaded', stage = 0, directory = '.', fileSystem = disk }: LoadProblem): Promise<Diagnostic> {
  const setting = settingPlace(origins, { stage, key: error.key ?? '' });
  const options = { fix: error.fix.replace(/\.$/, '') };
  const message = error.message.replace(/\.$/, '');
  if (error.at === null) return diagnose(code, message, setting, options);
  const place = await placeInFile(error.at, { directory, fileSystem });
  return diagnose(code, message, place, { ...options, related: [{ message: 'the file is named here', at: setting }] });
}

/** Where a stage's setting was written, or what it would belong to. `key` is a path: `agent.max_tokens`. */
export function settingPlace(origins: ResolvedDocument, { stage, key }: { stage: number; key: string }): Location {
  const tree = /^model\b/.test(key) ? origins.root : origins.stages[stage];
  const path: Path = key.split('.').filter((part) => part !== '').map((part) => (/^\d+$/.test(part) ? Number(part) : part));
  return (tree === undefined ? null : nearestPlace(tree, existing(tree, path))) ?? { source: origins.source, start: 0, end: 1 };
}

/** As much of the path as the tree has. */
function existing(tree: ConfigNode, path: Path): Path {
  let node: ConfigNode | undefined = tree;
  const end = path.findIndex((part) => (node = child(node, part)) === undefined);
  return end === -1 ? path : path.slice(0, end);
}

async function placeInFile({ file, line, column }: NonNullable<LoadError['at']>, { directory, fileSystem }: { directory: string; fileSystem: FileSystem }): Promise<Location> {
  const text = await fileSystem.readFile(file).catch(() => '');
  const lines = text.split('\n');
  const start = lines.slice(0, line - 1).reduce((sum, before) => sum + before.length + 1, 0) + column - 1;
  const end = start + Math.max(1, (lines[line - 1] ?? '').length - column + 1);
  const below = relative(directory, file);
  return { source: { kind: 'file', name: below.startsWith('..') ? file : below, path: file, directory: '', text }, start, end };
}

import { loadPipeline, type FileSystem, type LoadOptions, type LoadResult } from '../../src/config/index.ts';

/** Files in memory, by absolute path. */
export function filesInMemory(files: Readonly<Record<string, string>>): FileSystem {
  const missing = (path: string) => Object.assign(new Error(`no ${path}`), { code: 'ENOENT' });
  const names = Object.keys(files);
  return {
    readFile: async (path) => files[path] ?? Promise.reject(missing(path)),
    exists: async (path) => path in files || names.some((name) => name.startsWith(`${path}/`)),
    size: async (path) => (path in files ? Buffer.byteLength(files[path] ?? '') : Promise.reject(missing(path))),
    list: async (directory) => names.filter((name) => name.startsWith(`${directory}/`)).map((name) => name.slice(directory.length + 1)),
  };
}

/** What every pipeline needs. */
export const needed = 'model: { fork: hub:org/tiny }\ntaskset: { source: builtin:arith }\nreward: [{ kind: numeric_match }]\n';

/** Loads /project/pipeline.yaml out of `files`. */
export async function load(files: string | Readonly<Record<string, string>>, options: Partial<LoadOptions> = {}): Promise<LoadResult> {
  const all = typeof files === 'string' ? { 'pipeline.yaml': files } : files;
  const absolute = Object.fromEntries(Object.entries(all).map(([name, text]) => [`/project/${name}`, text]));
  return await loadPipeline({ file: 'pipeline.yaml', directory: '/project', fileSystem: filesInMemory(absolute), ...options });
}

/** The loaded pipeline of a file that is right. */
export async function loaded(files: string | Readonly<Record<string, string>>, options: Partial<LoadOptions> = {}): Promise<LoadResult & { ok: true }> {
  const result = await load(files, options);
  if (!result.ok) throw new Error(result.diagnostics.map(({ code, message }) => `${code}: ${message}`).join('\n'));
  return result;
}

/** Runs a user's task module: collects its rows and names its templates. */
import { PlaceError, serveUserModules } from '../runtimes/index.ts';

export interface RowsCall {
  path: string;
  args: Readonly<Record<string, unknown>>;
  seed: number;
  train: number;
  eval: number;
}

/** Rows travel as JSON text: what cannot be written to a file is no task. */
export interface RowsReply {
  rows: string;
  templates: string[];
}

serveUserModules((modules) => ({
  async rows({ path, args, ...context }: RowsCall): Promise<RowsReply> {
    const { default: source, templates } = modules(path) as { default?: unknown; templates?: unknown };
    const made: unknown = typeof source === 'function' ? await (source as (args: unknown, context: unknown) => unknown)(args, context) : source;
    const rows = JSON.stringify(await collect(made, context.train + context.eval)) as string | undefined;
    if (rows === undefined) throw new PlaceError('exception', 'its default export has no JSON form; expected a list of tasks or a generator of them');
    return { rows, templates: Object.keys((templates ?? {}) as object) };
  },
}));

/** A generator may be endless: it is asked for as many rows as the split needs. */
async function collect(made: unknown, wanted: number): Promise<unknown> {
  if (Array.isArray(made)) return made;
  if (typeof made !== 'object' || made === null) {
    throw new PlaceError('exception', `its default export is ${made === undefined ? 'missing' : `a ${typeof made}`}; expected a list of tasks or a generator of them`);
  }
  if (!(Symbol.asyncIterator in made) && !(Symbol.iterator in made)) return made;
  const rows: unknown[] = [];
  for await (const row of made as AsyncIterable<unknown>) {
    if (rows.push(row) >= wanted) break;
  }
  return rows;
}

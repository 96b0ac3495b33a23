/** @file Everything that may answer the agents of a stage: its environments, and the tools that the pipeline offers. */
import { createHash } from 'node:crypto';
import type { RuntimeSettings, ToolSettings } from '../config/types.ts';
import { type Failure, type Outcome, failure } from '../runtimes/index.ts';
import type { Task } from '../tasks/types.ts';
import { keyInside, type Loaded } from '../util/load-error.ts';
import { openEnvironment } from './open.ts';
import { openToolbox } from './tools/open.ts';
import type { Episode, Tool, Toolbox, ToolSession } from './types.ts';

/** What one rollout lives in. */
export interface Scene extends AsyncDisposable {
  readonly episode: Episode | null;
  readonly toolSessions: readonly ToolSession[];
  /** All that the model is told of. */
  readonly tools: readonly Tool[];
}

export interface Surroundings extends AsyncDisposable {
  /** Sets the scene for one rollout of a task; what fails is an error of that rollout. */
  begin(task: Task, signal: AbortSignal): Promise<Outcome<Scene>>;
  readonly files: readonly string[];
  readonly hash: string;
}

export interface SurroundingsOptions {
  tools: readonly ToolSettings[];
  runtime: RuntimeSettings;
  onOutput?: ((text: string) => void) | undefined;
  signal?: AbortSignal | undefined;
}

/** Opens where tools come from; environments are opened when the first task asks for them. */
export async function openSurroundings({ tools, runtime, onOutput, signal }: SurroundingsOptions): Promise<Loaded<'surroundings', Surroundings>> {
  await using opened = new AsyncDisposableStack();
  const toolboxes: Toolbox[] = [];
  for (const [index, settings] of tools.entries()) {
    const loaded = await openToolbox(settings, { runtime, onOutput, signal });
    if (!loaded.ok) return { ok: false, error: { ...loaded.error, key: keyInside(String(index), loaded.error.key), files: [...toolboxes.flatMap(({ files }) => files), ...loaded.error.files] } };
    toolboxes.push(opened.use(loaded.toolbox));
  }
  const environments = new Map<string, ReturnType<typeof openEnvironment>>();
  opened.defer(async () => {
    for (const environment of await Promise.all(environments.values())) if (environment.ok) await environment.environment[Symbol.asyncDispose]();
  });
  const environmentOf = async (source: string) => {
    const known = environments.get(source) ?? openEnvironment({ source, runtime, onOutput });
    environments.set(source, known);
    const environment = await known;
    // A slow start may succeed the next time; only this rollout pays for it.
    if (!environment.ok) environments.delete(source);
    return environment;
  };
  const hash = createHash('sha256');
  for (const toolbox of toolboxes) hash.update(toolbox.hash).update('\0');
  const kept = opened.move();
  return {
    ok: true,
    surroundings: {
      files: toolboxes.flatMap(({ files }) => files),
      hash: hash.digest('hex'),
      begin: (task, until) => setScene(task, { toolboxes, environmentOf }, until),
      [Symbol.asyncDispose]: () => kept.disposeAsync(),
    },
  };
}

interface Sources {
  toolboxes: readonly Toolbox[];
  environmentOf: (source: string) => ReturnType<typeof openEnvironment>;
}

async function setScene(task: Task, { toolboxes, environmentOf }: Sources, signal: AbortSignal): Promise<Outcome<Scene>> {
  await using opened = new AsyncDisposableStack();
  const toolSessions: ToolSession[] = [];
  for (const toolbox of toolboxes) {
    const session = await toolbox.open(signal);
    if (!session.ok) return session;
    toolSessions.push(opened.use(session.value));
  }
  let episode: Episode | null = null;
  if (task.template && !task.template.source.startsWith('builtin:')) {
    const environment = await environmentOf(task.template.source);
    if (!environment.ok) return environment;
    const begun = await environment.environment.begin({ template: task.template.id, args: task.args, prompt: task.prompt }, signal);
    if (!begun.ok) return begun;
    episode = opened.use(begun.value);
  }
  const tools = [...toolSessions.flatMap((session) => session.tools), ...(episode?.tools?.tools ?? []), ...(episode?.ownTools ?? [])];
  const repeated = repeatedName(tools);
  if (repeated) return repeated;
  const kept = opened.move();
  return { ok: true, value: { episode, toolSessions, tools, [Symbol.asyncDispose]: () => kept.disposeAsync() } };
}

function repeatedName(tools: readonly Tool[]): { ok: false; failure: Failure } | null {
  const name = tools.find((tool, index) => tools.findIndex((other) => other.name === tool.name) < index)?.name;
  return name === undefined ? null : failure('exception', `two tools are named ${name}; leave one of them out with "exclude"`);
}

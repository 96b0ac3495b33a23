/** Runs two-yield templates: `setup` takes one to its prompt, `grade` resumes it with the answer. */
import { PlaceError } from './serve.ts';
import { serveUserModules } from './user-modules.ts';
import { readVerdict } from './verdict.ts';

type Running = AsyncGenerator<unknown, unknown, string> | Generator<unknown, unknown, string>;

serveUserModules((modules) => {
  /** The template that waits for its answer; a new setup replaces it. */
  let running: Running | null = null;
  return {
    async setup({ source, template, args }: { source: string; template: string; args: Record<string, unknown> }) {
      await running?.return(undefined);
      running = null;
      const templates = (modules(source)['templates'] ?? {}) as Record<string, unknown>;
      const start = Object.hasOwn(templates, template) ? templates[template] : undefined;
      if (typeof start !== 'function') {
        throw new PlaceError('exception', `there is no such template; the module exports ${Object.keys(templates).join(', ') || 'no templates'}`);
      }
      const generator = (start as (args: unknown) => Running)(args);
      if (typeof generator?.next !== 'function') throw new PlaceError('exception', 'it is no generator; write async function* (args) { const answer = yield prompt; yield reward; }');
      const first = await generator.next();
      if (first.done) throw new PlaceError('exception', 'it ended before it yielded a prompt');
      running = generator;
      return { prompt: first.value };
    },
    async grade({ completion }: { completion: string }) {
      const generator = running!;
      running = null;
      const second = await generator.next(completion);
      // HUD counts this as 0; but nobody said so.
      if (second.done) throw new PlaceError('invalid_reward', 'the template ended without a second yield, so it gave no reward');
      await generator.return(undefined);
      const verdict = readVerdict(second.value);
      if (!verdict.ok) throw new PlaceError(verdict.failure.type, verdict.failure.message);
      const { value, info, children } = verdict;
      return { reward: value, info, subscores: children };
    },
  };
});

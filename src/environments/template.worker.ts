/**
 * Runs templates: generators that yield a prompt, are handed the answer, and yield what they say to it, until they yield a verdict.
 *
 * Every call brings all the answers of its rollout. The template that gave the last of them something to answer usually waits here and gets
 * only the newest; where it does not (another place took the call, the one before was killed), the template is played from the start.
 */
import { PlaceError, serveUserModules } from '../runtimes/index.ts';
import type { Answer } from './types.ts';
import { readYield, type Yielded } from './yields.ts';

export interface PlayCall {
  source: string;
  template: string;
  args: Record<string, unknown>;
  answers: readonly Answer[];
  /** Of a rollout that goes on: what the template said before, as JSON, one text for each yield. Null: this is all that will be asked. */
  rollout: { id: string; said: readonly string[] } | null;
}

type Generator = AsyncGenerator<unknown, unknown, unknown> | globalThis.Generator<unknown, unknown, unknown>;

/** A template that waits for an answer. */
interface Waiting {
  generator: Generator;
  said: Yielded[];
}

/** Rollouts whose end nobody tells (theirs was cut off) are forgotten at some time. */
const KEPT_ROLLOUTS = 4096;

serveUserModules((modules) => {
  const waiting = new Map<string, Waiting>();

  function start({ source, template, args }: PlayCall): Generator {
    const templates = (modules(source)['templates'] ?? {}) as Record<string, unknown>;
    const make = Object.hasOwn(templates, template) ? templates[template] : undefined;
    if (typeof make !== 'function') {
      throw new PlaceError('exception', `there is no such template; the module exports ${Object.keys(templates).join(', ') || 'no templates'}`);
    }
    const generator = (make as (args: unknown) => Generator)(args);
    if (typeof generator?.next !== 'function') throw new PlaceError('exception', 'it is no generator; write async function* (args) { const answer = yield prompt; yield reward; }');
    return generator;
  }

  /** Hands over one answer (none yet for the prompt) and reads what the template says. */
  async function advance({ generator, said }: Waiting, answer: Answer | null): Promise<Yielded> {
    const opening = said[0];
    // Who brings tools is handed their calls; everybody else the text.
    const handed = answer === null || (opening?.kind === 'prompt' && opening.tools.length > 0) ? answer : answer.content;
    const next = await generator.next(handed ?? undefined);
    // HUD counts this as 0; but nobody said so.
    if (next.done) throw new PlaceError(answer === null ? 'exception' : 'invalid_reward', answer === null ? 'it ended before it yielded a prompt' : 'the template ended without another yield, so it gave no reward');
    const read = readYield(next.value, { isFirst: answer === null });
    said.push(read);
    if (read.kind === 'verdict') await generator.return(undefined);
    return read;
  }

  return {
    async play(call: PlayCall): Promise<Yielded> {
      const { answers, rollout } = call;
      const known = rollout === null ? undefined : waiting.get(rollout.id);
      if (rollout !== null) waiting.delete(rollout.id);
      const current: Waiting = known?.said.length === answers.length ? known : { generator: start(call), said: [] };
      while (current.said.length < answers.length) {
        const index = current.said.length;
        const said = await advance(current, index === 0 ? null : answers[index - 1]!);
        const before = rollout?.said[index];
        if (before !== undefined && JSON.stringify(said) !== before) throw new PlaceError('exception', 'played again, it said something else than before to the same answers; let everything it does follow from its arguments and the answers');
        if (said.kind === 'verdict') return said;
      }
      const said = await advance(current, answers.at(-1) ?? null);
      if (said.kind === 'verdict') return said;
      if (rollout === null) await current.generator.return(undefined);
      else waiting.set(rollout.id, current);
      if (waiting.size > KEPT_ROLLOUTS) waiting.delete(waiting.keys().next().value!);
      return said;
    },
    async forget({ id }: { id: string }): Promise<null> {
      await waiting.get(id)?.generator.return(undefined);
      waiting.delete(id);
      return null;
    },
  };
});

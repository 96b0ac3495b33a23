/** Runs what may not run on the main thread: reward modules, regular expressions and schemas of the user, long comparisons. */
import { defaultExportProblem, readVerdict, serveUserModules, type Verdict } from '../runtimes/index.ts';
import type { JsonCheck } from './json-schema.ts';
import type { ScoreRequest } from './types.ts';
import { similarity } from './similarity.ts';

/** The calls that this worker answers. */
export interface GraderCalls {
  /** Is there something to call in the module? Null is yes; otherwise what is wrong. */
  check: { params: { path: string }; result: string | null };
  module: { params: { path: string; args: Readonly<Record<string, unknown>>; request: ScoreRequest }; result: Verdict };
  regex: { params: { source: string; flags: string; completion: string }; result: boolean };
  json_schema: { params: { schema: JsonCheck['schema']; completion: string }; result: string | null };
  similarity: { params: { completion: string; answer: string }; result: number };
}

type Reward = (completion: string, task: ScoreRequest['task'], info: Record<string, unknown>) => unknown;

serveUserModules((modules) => {
  const answers: { [K in keyof GraderCalls]: (params: GraderCalls[K]['params']) => GraderCalls[K]['result'] | Promise<GraderCalls[K]['result']> } = {
    check({ path }) {
      return defaultExportProblem(modules(path)['default']);
    },
    async module({ path, args, request: { task, completion, completionTokens, truncated, conversation, stopReason } }) {
      const reward = modules(path)['default'] as Reward;
      return readVerdict(await reward(completion, task, { args, completionTokens, truncated, ...(conversation ? { messages: conversation.messages, stopReason } : {}) }));
    },
    regex: ({ source, flags, completion }) => new RegExp(source, flags).test(completion),
    json_schema: async (params) => (await import('./json-schema.ts')).checkJson(params),
    similarity: ({ completion, answer }) => similarity(completion, answer),
  };
  return answers;
});

/** Runs the tools of a user's module: arguments are checked before it sees them, results are made text. */
import { describe, PlaceError, serveUserModules } from '../../runtimes/index.ts';
import { asText } from './text.ts';
import { argumentChecker } from './arguments.ts';
import type { Tool, ToolResult } from '../types.ts';

/** The calls that this worker answers. */
export interface ToolCalls {
  list: { params: { path: string }; result: Tool[] };
  call: { params: { path: string; name: string; args: Record<string, unknown> }; result: ToolResult };
}

interface UserTool {
  description?: unknown;
  parameters?: unknown;
  run: (args: unknown) => unknown;
}

const NO_ARGUMENTS = { type: 'object', properties: {}, additionalProperties: false };

serveUserModules((modules) => {
  const checkers = new Map<string, ReturnType<typeof argumentChecker>>();

  function toolsOf(path: string): [string, UserTool][] {
    const exported = modules(path)['tools'];
    if (typeof exported !== 'object' || exported === null) throw new PlaceError('exception', `it exports ${exported === undefined ? 'no `tools`' : `${describe(exported)} as \`tools\``}`);
    return Object.entries(exported).map(([name, tool]: [string, unknown]) => {
      const run: unknown = typeof tool === 'function' ? tool : (tool as UserTool | null)?.run;
      if (typeof run !== 'function') throw new PlaceError('exception', `its tool ${name} has no function \`run\``);
      if (!/^[A-Za-z0-9_-]{1,64}$/.test(name)) throw new PlaceError('exception', `its tool ${JSON.stringify(name)} has a name that models cannot call; use up to 64 letters, digits, "_" and "-"`);
      const { description, parameters } = tool as UserTool;
      return [name, { description, parameters: parameters ?? NO_ARGUMENTS, run: (args) => Reflect.apply(run, tool, [args]) as unknown }];
    });
  }

  const answers: { [K in keyof ToolCalls]: (params: ToolCalls[K]['params']) => ToolCalls[K]['result'] | Promise<ToolCalls[K]['result']> } = {
    list: ({ path }) => toolsOf(path).map(([name, { description, parameters }]) => {
      if (typeof description !== 'string' || description.trim() === '') throw new PlaceError('exception', `its tool ${name} has no description; the model chooses tools by it`);
      argumentChecker(name, parameters);
      return { name, description, parameters: parameters as Tool['parameters'] };
    }),
    async call({ path, name, args }) {
      const tool = toolsOf(path).find(([each]) => each === name)![1];
      const check = checkers.get(name) ?? argumentChecker(name, tool.parameters);
      checkers.set(name, check);
      const problem = check(args);
      if (problem !== null) return { text: `Error: ${problem}`, failure: 'invalid_arguments' };
      return { text: asText(await tool.run(args)) };
    },
  };
  return answers;
});

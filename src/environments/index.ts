export { openEnvironment, PROGRAM } from './open.ts';
export { openSurroundings, type Scene, type Surroundings } from './surroundings.ts';
export type { Answer, Environment, Episode, OpenedEnvironment, OpenEnvironmentOptions, Reply, TemplateTask, Tool, Toolbox, ToolResult, ToolSession } from './types.ts';
export { isPrompt } from './yields.ts';

export { type ArgsSchema, type Generator, type GeneratorName, generators } from './generators/index.ts';
export { type LoadTasksetOptions, loadTaskset } from './load.ts';
export { slugOf } from './slug.ts';
export type { ChatMessage, Task, Taskset } from './types.ts';

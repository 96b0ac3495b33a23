import type { RuntimeSettings, ToolSettings } from '../../config/types.ts';
import type { Loaded } from '../../util/load-error.ts';
import type { Tool, Toolbox } from '../types.ts';

export interface ToolboxOptions {
  runtime: RuntimeSettings;
  onOutput?: ((text: string) => void) | undefined;
  signal?: AbortSignal | undefined;
}

export type LoadedToolbox = Loaded<'toolbox', Toolbox>;

/** What of a source's tools is offered. */
export const offered = <T extends Pick<Tool, 'name'>>(tools: readonly T[], { include, exclude }: Pick<ToolSettings, 'include' | 'exclude'>): T[] =>
  tools.filter(({ name }) => (include === null || include.includes(name)) && !exclude.includes(name));

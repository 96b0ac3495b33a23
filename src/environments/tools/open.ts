import type { RuntimeSettings, ToolSettings } from '../../config/types.ts';
import type { Loaded } from '../../util/load-error.ts';
import type { Tool, Toolbox } from '../types.ts';

export interface ToolboxOptions {
  runtime: RuntimeSettings;
  onOutput?: ((text: string) => void) | undefined;
  signal?: AbortSignal | undefined;
}

export type LoadedToolbox = Loaded<'toolbox', Toolbox>;

type OfKind<K extends ToolSettings['kind']> = Extract<ToolSettings, { kind: K }>;

/** How each kind of source is opened; what a kind needs is loaded when somebody names it. */
const sources: { [K in ToolSettings['kind']]: (settings: OfKind<K>, options: ToolboxOptions) => Promise<LoadedToolbox> } = {
  module: async (settings, options) => (await import('./module.ts')).openModuleTools(settings, options),
  mcp: async (settings, options) => (await import('./mcp.ts')).openMcpTools(settings, options),
};

export function openToolbox<K extends ToolSettings['kind']>(settings: OfKind<K>, options: ToolboxOptions): Promise<LoadedToolbox> {
  return sources[settings.kind as K](settings, options);
}

/** What of a source's tools is offered. */
export const offered = <T extends Pick<Tool, 'name'>>(tools: readonly T[], { include, exclude }: Pick<ToolSettings, 'include' | 'exclude'>): T[] =>
  tools.filter(({ name }) => (include === null || include.includes(name)) && !exclude.includes(name));

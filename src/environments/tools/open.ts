import type { ToolSettings } from '../../config/types.ts';
import type { LoadedToolbox, ToolboxOptions } from './types.ts';

type OfKind<K extends ToolSettings['kind']> = Extract<ToolSettings, { kind: K }>;

/** How each kind of source is opened; what a kind needs is loaded when somebody names it. */
const sources: { [K in ToolSettings['kind']]: (settings: OfKind<K>, options: ToolboxOptions) => Promise<LoadedToolbox> } = {
  module: async (settings, options) => (await import('./module.ts')).openModuleTools(settings, options),
  mcp: async (settings, options) => (await import('./mcp.ts')).openMcpTools(settings, options),
};

export function openToolbox<K extends ToolSettings['kind']>(settings: OfKind<K>, options: ToolboxOptions): Promise<LoadedToolbox> {
  return sources[settings.kind as K](settings, options);
}

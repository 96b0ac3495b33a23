import type { ToolSettings } from '../../config/types.ts';
import type { LoadedToolbox, ToolboxOptions } from './types.ts';

export async function openMcpTools(_settings: Extract<ToolSettings, { kind: 'mcp' }>, _options: ToolboxOptions): Promise<LoadedToolbox> {
  throw new Error('Internal error: not there yet');
}

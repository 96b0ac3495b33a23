/** @file What a HUD environment offers besides prompts and grades. MCP becomes tools; what rlrun has no tools for is refused before a rollout begins. */
import { randomBytes } from 'node:crypto';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { type Failure, failure, type Outcome } from '../../runtimes/index.ts';
import { openMcpSession } from '../tools/mcp-session.ts';
import type { ToolSession } from '../types.ts';
import type { Address } from './dial.ts';
import { callableName } from './tool-names.ts';
import { tunnelFetch } from './tunnel.ts';

/** An entry of `bindings` in the reply to `hello`. */
export interface Binding {
  name: string;
  protocol: string;
  url: string;
  params?: { transport?: string; auth_token?: string } | null;
}

/** By the protocol without its version. What is not here is refused as well. */
const uses: Record<string, 'tools' | 'nothing' | { missing: string }> = {
  mcp: 'tools',
  filetracking: 'nothing',
  ssh: { missing: 'a shell: rlrun has no SSH client, so the agent could not run, read or write anything there' },
  cdp: { missing: 'a browser that the model could steer' },
  rfb: { missing: 'a screen that the model could see' },
  openpi: { missing: 'a robot policy' },
};

const useOf = ({ protocol }: Binding) => uses[protocol.split('/')[0]!] ?? { missing: `the protocol ${protocol}` };

/** Does it keep something between calls that sessions would share? */
export const keepsState = (bindings: readonly Binding[]): boolean => bindings.some((binding) => useOf(binding) !== 'nothing');

export function refusal(bindings: readonly Binding[]): { ok: false; failure: Failure } | null {
  for (const binding of bindings) {
    const use = useOf(binding);
    if (typeof use === 'object') return failure('exception', `the environment offers ${binding.name} (${binding.protocol}), and what is missing here is ${use.missing}; offer what its tasks need as MCP tools`);
    const transport = binding.params?.transport ?? (/^https?:/.test(binding.url) ? 'streamable-http' : 'websocket');
    if (use === 'tools' && transport !== 'streamable-http') return failure('exception', `the environment offers ${binding.name} by ${transport}; rlrun speaks MCP by streamable-http`);
  }
  return null;
}

export interface CapabilityOptions {
  address: Address;
  setupTimeoutMs: number;
  timeoutMs: number;
  signal: AbortSignal;
}

/** One MCP session for each capability of this kind, as one; null where there is none. Several of them have their names before those of their tools. */
export async function openCapabilities(bindings: readonly Binding[], { address, ...limits }: CapabilityOptions): Promise<Outcome<ToolSession | null>> {
  const offering = bindings.filter((binding) => useOf(binding) === 'tools');
  if (offering.length === 0) return { ok: true, value: null };
  await using opened = new AsyncDisposableStack();
  const traceId = randomBytes(16).toString('hex');
  const callable = new Map<string, { session: ToolSession; name: string }>();
  const tools: ToolSession['tools'][number][] = [];
  for (const { name, url, params } of offering) {
    const headers = params?.auth_token ? { authorization: `Bearer ${params.auth_token}` } : {};
    const transport = new StreamableHTTPClientTransport(new URL(url), { fetch: tunnelFetch(address, name), requestInit: { headers } });
    const session = await openMcpSession({ transport, ...limits, pick: (all) => [...all], meta: { 'hud/trace-id': traceId } });
    if (!session.ok) return failure(session.failure.type, `its capability ${name}: ${session.failure.message}`);
    opened.use(session.value);
    for (const tool of session.value.tools) {
      const shown = callableName(offering.length > 1 ? `${name}__${tool.name}` : tool.name);
      if (callable.has(shown)) return failure('protocol', `two of its tools are named ${shown}`);
      callable.set(shown, { session: session.value, name: tool.name });
      tools.push({ ...tool, name: shown });
    }
  }
  const kept = opened.move();
  return {
    ok: true,
    value: {
      tools,
      call({ name: shown, ...call }, signal) {
        const { session, name } = callable.get(shown)!;
        return session.call({ ...call, name }, signal);
      },
      [Symbol.asyncDispose]: () => kept.disposeAsync(),
    },
  };
}

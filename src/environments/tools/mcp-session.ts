/** @file One session with a server of the Model Context Protocol, whatever it travels on. */
import { Client, SdkError, SdkErrorCode, type Transport } from '@modelcontextprotocol/client';
import type { ToolCall } from '../../events.ts';
import { type Outcome, failure, seconds } from '../../runtimes/index.ts';
import type { Tool, ToolResult, ToolSession } from '../types.ts';
import { argumentChecker } from './arguments.ts';

export interface McpSessionOptions {
  transport: Transport;
  /** Of beginning a session, and of each call. */
  setupTimeoutMs: number;
  timeoutMs: number;
  pick: (tools: readonly Tool[]) => Tool[];
  /** Sent along with every call. */
  meta?: Record<string, unknown>;
  signal: AbortSignal;
}

/** Begins a session. A server that cannot is an error of the rollout; what goes wrong later costs one call. */
export async function openMcpSession({ transport, setupTimeoutMs, timeoutMs, pick, meta, signal }: McpSessionOptions): Promise<Outcome<ToolSession>> {
  // Schemas of results are between the server and itself: here they become text.
  const client = new Client({ name: 'rlrun', version: '1' }, { jsonSchemaValidator: { getValidator: () => (data) => ({ valid: true, data: data as never, errorMessage: undefined }) } });
  // The protocol only says that the connection is closed; why is said before.
  let last: string | null = null;
  transport.onerror = (error) => { last = error.message; };
  const reason = (error: unknown): string => ((error instanceof SdkError && error.code === SdkErrorCode.ConnectionClosed ? last : null) ?? messageOf(error));
  const close = () => client.close().catch(() => {});
  try {
    const limits = { timeout: setupTimeoutMs, signal };
    await client.connect(transport, limits);
    const tools = pick(await listTools(client, limits));
    return { ok: true, value: { tools, call: (call, until) => callTool(client, { call, tools, timeoutMs, meta, reason }, until), [Symbol.asyncDispose]: close } };
  } catch (error) {
    await close();
    signal.throwIfAborted();
    return failure(isTimeout(error) ? 'timeout' : 'protocol', `the MCP server ${isTimeout(error) ? `did not begin a session within ${seconds(setupTimeoutMs)}` : `began no session: ${reason(error)}`}`);
  }
}

/** A server that gives page after page is not asked for ever. */
const MAX_TOOLS = 1024;

async function listTools(client: Client, limits: { timeout: number; signal: AbortSignal }): Promise<Tool[]> {
  const tools: Tool[] = [];
  let cursor: string | undefined;
  do {
    const page = await client.listTools(cursor === undefined ? {} : { cursor }, limits);
    tools.push(...page.tools.map(({ name, description = '', inputSchema }) => ({ name, description, parameters: inputSchema as Tool['parameters'] })));
    cursor = page.nextCursor;
  } while (cursor !== undefined && tools.length < MAX_TOOLS);
  return tools;
}

interface CallOptions {
  call: ToolCall;
  tools: readonly Tool[];
  timeoutMs: number;
  meta: Record<string, unknown> | undefined;
  reason: (error: unknown) => string;
}

async function callTool(client: Client, { call, tools, timeoutMs, meta, reason }: CallOptions, signal: AbortSignal): Promise<ToolResult> {
  const { name, arguments: args } = call;
  const problem = problemOf(tools.find((tool) => tool.name === name)!, args);
  if (problem !== null) return { text: `Error: ${problem}`, failure: 'invalid_arguments' };
  try {
    const result = await client.callTool({ name, arguments: args, ...(meta ? { _meta: meta } : {}) }, { timeout: timeoutMs, maxTotalTimeout: timeoutMs, signal });
    const text = textOf(result as CallResult);
    return (result as CallResult).isError ? { text, failure: 'error' } : { text };
  } catch (error) {
    signal.throwIfAborted();
    if (isTimeout(error)) return { text: `Error: ${name} gave no answer within ${seconds(timeoutMs)}`, failure: 'timeout' };
    return { text: `Error: ${reason(error)}`, failure: 'error' };
  }
}

/** Patterns of a stranger, run over what a model wrote, can take for ever: the server looks at those itself. So it does where the schema is of another kind. */
function problemOf({ name, parameters }: Tool, args: Record<string, unknown>): string | null {
  try {
    return argumentChecker(name, withoutPatterns(parameters))(args);
  } catch {
    return null;
  }
}

const withoutPatterns = (schema: unknown): unknown =>
  JSON.parse(JSON.stringify(schema, (key, value: unknown) => (['$schema', '$id', 'pattern', 'patternProperties', 'propertyNames'].includes(key) ? undefined : value)));

interface CallResult {
  content?: readonly { type: string; text?: string; data?: string; mimeType?: string; uri?: string; resource?: { uri?: string; text?: string; blob?: string; mimeType?: string } }[];
  structuredContent?: unknown;
  isError?: boolean;
}

/** Texts one below the other; what is no text is said to be there. */
function textOf({ content = [], structuredContent }: CallResult): string {
  if (content.length === 0 && structuredContent !== undefined) return typeof structuredContent === 'string' ? structuredContent : JSON.stringify(structuredContent);
  return content.map(({ type, text, data, mimeType, uri, resource }) => {
    if (text !== undefined) return text;
    if (resource?.text !== undefined) return resource.text;
    const bytes = data ?? resource?.blob;
    if (bytes !== undefined) return `[${mimeType ?? resource?.mimeType ?? type}, ${Math.floor((bytes.length * 3) / 4)} bytes that are no text]`;
    return `[${type}${uri === undefined ? '' : ` ${uri}`}]`;
  }).join('\n');
}

const isTimeout = (error: unknown): boolean => error instanceof SdkError && error.code === SdkErrorCode.RequestTimeout;

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error)).slice(0, 2000);

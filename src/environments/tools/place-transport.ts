import type { JSONRPCMessage, Transport } from '@modelcontextprotocol/client';
import type { Failure, OpenPlace, Place } from '../../runtimes/index.ts';

/**
 * MCP over the lines of a place: a program that hangs, floods its output, grows or leaves children behind is ended as every other of the user's.
 * The SDK's own transport for programs bounds none of that.
 */
export function placeTransport(open: OpenPlace): Transport {
  let place: Place | null = null;
  let ended: Failure | null = null;
  const transport: Transport = {
    async start() {
      place = open({
        onReply: (message) => transport.onmessage?.(message as JSONRPCMessage),
        onEnd(reason) {
          ended = reason;
          transport.onerror?.(new Error(`the MCP server ${reason.message}`));
          transport.onclose?.();
        },
      });
    },
    async send(message) {
      if (ended) throw new Error(`the MCP server ${ended.message}`);
      place!.send([message as never]);
    },
    async close() {
      await place?.kill();
      if (!ended) transport.onclose?.();
      ended ??= { type: 'exit', message: 'was closed' };
    },
  };
  return transport;
}

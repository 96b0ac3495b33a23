import type { Host, HostSource } from './types.ts';

/** An environment that somebody else started. It may come and go: each connection finds out by itself. */
export function attachedTo(url: string): HostSource {
  const { hostname, port } = new URL(url);
  const host: Host = {
    address: { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port) },
    gone: null,
    ended: null,
    end: async () => {},
  };
  return { isOurs: false, open: async () => ({ ok: true, value: host }) };
}

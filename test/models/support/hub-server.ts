/** A local server with the routes of the Hugging Face Hub that downloading a model uses. */
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';

export interface HubServer extends AsyncDisposable {
  url: string;
  /** `GET /path` of every request so far. */
  requests: string[];
  /** Byte ranges that were asked for, by file: null for a whole file. Probes of one byte are left out. */
  ranges: Map<string, (string | null)[]>;
  /** What goes wrong, by file; `answer` may take any request over. Changed by the test at any time. */
  faults: { cutAfter: Map<string, number>; corrupt: Set<string>; status: Map<string, number>; ignoreRange: boolean; answer: ((request: IncomingMessage, response: ServerResponse) => boolean) | null };
}

export interface HubRepository {
  name: string;
  commit: string;
  files: ReadonlyMap<string, Uint8Array>;
  /** Tags and branches besides main. */
  revisions?: readonly string[];
  /** Readable only with this token. */
  token?: string;
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const gitHash = (bytes: Uint8Array): string => createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex');
const isLfs = (path: string): boolean => /\.(?:safetensors|onnx|onnx_data)$/.test(path);

export async function startHub(repository: HubRepository): Promise<HubServer> {
  const { name, commit, files } = repository;
  const revisions = new Set(['main', commit, ...(repository.revisions ?? [])]);
  const hub: Pick<HubServer, 'requests' | 'ranges' | 'faults'> = {
    requests: [],
    ranges: new Map(),
    faults: { cutAfter: new Map(), corrupt: new Set(), status: new Map(), ignoreRange: false, answer: null },
  };

  function answer(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url!, 'http://hub');
    const path = decodeURIComponent(url.pathname);
    hub.requests.push(`${request.method} ${path}`);
    const json = (value: unknown, status = 200): void => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
    };
    if (hub.faults.answer?.(request, response)) return;
    if (repository.token !== undefined && request.headers.authorization !== `Bearer ${repository.token}`) return json({ error: 'Access to model is restricted' }, 401);
    const info = /^\/api\/models\/([^/]+\/[^/]+)\/revision\/(.+)$/.exec(path);
    if (info !== null) {
      if (info[1] !== name) return json({ error: 'Repository not found' }, 404);
      return revisions.has(info[2]!) ? json({ _id: '1', id: name, sha: commit, lastModified: '2026-01-01T00:00:00Z' }) : json({ error: `Invalid rev id: ${info[2]}` }, 404);
    }
    if (path === `/api/models/${name}/tree/${commit}`) return json(listing());
    const file = new RegExp(`^/${name}/resolve/${commit}/(.+)$`).exec(path)?.[1];
    const bytes = file === undefined ? undefined : files.get(file);
    if (file === undefined || bytes === undefined) return json({ error: 'Not found' }, 404);
    return send(file, bytes, request, response);
  }

  function listing(): unknown[] {
    return [...files].map(([path, bytes]) => ({
      type: 'file', path, size: bytes.length, oid: gitHash(bytes),
      ...(isLfs(path) ? { lfs: { oid: sha256(bytes), size: bytes.length, pointerSize: 130 } } : {}),
    }));
  }

  function send(file: string, original: Uint8Array, request: IncomingMessage, response: ServerResponse): void {
    const range = request.headers.range ?? null;
    const isProbe = range === 'bytes=0-0';
    if (!isProbe) hub.ranges.set(file, [...(hub.ranges.get(file) ?? []), range]);
    const status = hub.faults.status.get(file);
    if (status !== undefined && !isProbe) return void response.writeHead(status).end();
    const bytes = hub.faults.corrupt.has(file) ? original.map((byte, index) => (index === 3 ? byte ^ 1 : byte)) : original;
    const [, from, to] = (hub.faults.ignoreRange && !isProbe ? null : /^bytes=(\d+)-(\d*)$/.exec(range ?? '')) ?? [];
    const start = Number(from ?? 0);
    const end = to ? Number(to) + 1 : bytes.length;
    response.writeHead(from === undefined ? 200 : 206, {
      etag: `"${sha256(original)}"`, 'accept-ranges': 'bytes', 'content-length': end - start,
      ...(from === undefined ? {} : { 'content-range': `bytes ${start}-${end - 1}/${bytes.length}` }),
    });
    const cut = hub.faults.cutAfter.get(file);
    if (cut === undefined || isProbe) return void response.end(bytes.subarray(start, end));
    // Closed after what was written, not reset: what the client has got is the same every time.
    response.write(bytes.subarray(start, Math.min(end, start + cut)), () => response.socket?.end());
  }

  const server = createServer(answer).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    ...hub,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

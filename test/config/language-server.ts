/** @file The language server that editors run on YAML files, as they run it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath, pathToFileURL } from 'node:url';

export interface CompletionItem {
  label: string;
  documentation?: string | { value: string };
}

interface Message {
  id?: number;
  method?: string;
  params?: unknown;
  result?: unknown;
  error?: { message: string };
}

const home = new URL('../..', import.meta.url);

export class LanguageServer implements AsyncDisposable {
  private readonly child: ChildProcess;
  private readonly waiting = new Map<number, { resolve: (result: unknown) => void; reject: (error: Error) => void }>();
  private readonly diagnosed = new Map<string, (found: unknown[]) => void>();
  private buffer = Buffer.alloc(0);
  private lastId = 0;
  /** What the server writes when something in it fails. */
  complaints = '';

  private constructor() {
    this.child = spawn(process.execPath, [fileURLToPath(new URL('node_modules/yaml-language-server/bin/yaml-language-server', home)), '--stdio']);
    this.child.stdout!.on('data', (chunk: Buffer) => this.read(chunk));
    this.child.stderr!.on('data', (chunk: Buffer) => void (this.complaints += String(chunk)));
  }

  static async start(): Promise<LanguageServer> {
    const server = new LanguageServer();
    const textDocument = { completion: { completionItem: { snippetSupport: true, documentationFormat: ['markdown'] } }, hover: { contentFormat: ['markdown'] } };
    await server.request('initialize', { processId: process.pid, rootUri: home.href, capabilities: { textDocument, workspace: { configuration: true } } });
    server.send({ method: 'initialized', params: {} });
    return server;
  }

  /** `text` with the cursor at `|`: what may be written there. */
  async complete(text: string): Promise<CompletionItem[]> {
    const { document, position } = this.openAt(text);
    const found = (await this.request('textDocument/completion', { textDocument: { uri: document }, position })) as { items: CompletionItem[] };
    return found.items;
  }

  /** `text` with the pointer at `|`: what is said about it. */
  async hover(text: string): Promise<string> {
    const { document, position } = this.openAt(text);
    const found = (await this.request('textDocument/hover', { textDocument: { uri: document }, position })) as { contents: { value: string } } | null;
    return found?.contents.value ?? '';
  }

  /** What it finds wrong. */
  async diagnose(text: string): Promise<{ message: string }[]> {
    const document = this.open(text);
    return new Promise((resolve) => this.diagnosed.set(document, (found) => resolve(found as { message: string }[])));
  }

  private openAt(text: string) {
    const before = text.slice(0, text.indexOf('|')).split('\n');
    return { document: this.open(text.replace('|', '')), position: { line: before.length, character: before.at(-1)!.length } };
  }

  /** Under a first line that names the schema. */
  private open(text: string): string {
    const uri = pathToFileURL(`${fileURLToPath(home)}pipelines/${++this.lastId}.yaml`).href;
    this.send({ method: 'textDocument/didOpen', params: { textDocument: { uri, languageId: 'yaml', version: 1, text: `# yaml-language-server: $schema=../schemas/pipeline.schema.json\n${text}` } } });
    return uri;
  }

  private request(method: string, params: unknown): Promise<unknown> {
    const id = ++this.lastId;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.send({ id, method, params });
    });
  }

  private send(message: Message): void {
    const body = JSON.stringify({ jsonrpc: '2.0', ...message });
    this.child.stdin!.write(`Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
  }

  private read(chunk: Buffer): void {
    this.buffer = Buffer.concat([this.buffer, chunk]);
    for (;;) {
      const head = this.buffer.indexOf('\r\n\r\n');
      if (head === -1) return;
      const end = head + 4 + Number(/Content-Length: (\d+)/i.exec(this.buffer.toString('utf8', 0, head))![1]);
      if (this.buffer.length < end) return;
      this.receive(JSON.parse(this.buffer.toString('utf8', head + 4, end)) as Message);
      this.buffer = this.buffer.subarray(end);
    }
  }

  private receive({ id, method, params, result, error }: Message): void {
    if (method === 'workspace/configuration') this.send({ id: id!, result: (params as { items: { section: string }[] }).items.map(({ section }) => (section === 'yaml' ? { completion: true, hover: true, validate: true, schemaStore: { enable: false } } : null)) });
    else if (method === 'textDocument/publishDiagnostics') {
      const { uri, diagnostics } = params as { uri: string; diagnostics: unknown[] };
      this.diagnosed.get(uri)?.(diagnostics);
    } else if (method !== undefined && id !== undefined) this.send({ id, result: null });
    else if (id !== undefined) {
      const waiter = this.waiting.get(id);
      if (error) waiter?.reject(new Error(error.message));
      else waiter?.resolve(result);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const gone = new Promise((resolve) => this.child.once('exit', resolve));
    this.child.kill();
    await gone;
  }
}

/** @file Every request to the Hub goes through here: none waits for ever, none fills the memory, and the token goes to the Hub alone. */

export interface DoorOptions {
  hubUrl: string;
  signal: AbortSignal | undefined;
  /** A server that says nothing for so long has gone. */
  silenceMs: number;
  /** Hears that the other side is silent, before that is too long. */
  onNotice: (text: string) => void;
}

/** Answers of the API are lists of files at most. */
const maxAnswerBytes = 64 * 2 ** 20;

/** The server closed the connection early. */
export class Interrupted extends Error {}

/** The server said nothing for too long. */
export class Silent extends Interrupted {}

/** The answer came, but not from the Hub: a network that wants a login first answers with its own page. */
export class NotTheHub extends Error {}

/** An answer whose body has to be read, or left, to its end: `for await` does either. */
export interface Answer {
  status: number;
  headers: Headers;
  body: AsyncIterable<Uint8Array>;
}

export async function ask(url: string, init: RequestInit, { hubUrl, signal, silenceMs, onNotice }: DoorOptions): Promise<Answer> {
  const { host, origin } = new URL(url);
  const headers = new Headers(init.headers);
  // Content lies on other hosts, and a page may name any as the next.
  if (origin !== new URL(hubUrl).origin) headers.delete('authorization');

  const ending = new AbortController();
  let timers: NodeJS.Timeout[] = [];
  const silence = (): void => timers.forEach((timer) => clearTimeout(timer));
  const heard = (): void => {
    silence();
    const seconds = (ms: number): string => `${Math.round(ms / 1000)} s`;
    timers = [
      setTimeout(() => onNotice(`${host} has said nothing for ${seconds(silenceMs / 3)}; after ${seconds(silenceMs)} it counts as gone`), silenceMs / 3),
      setTimeout(() => ending.abort(new Silent(`${host} said nothing for ${seconds(silenceMs)}`)), silenceMs),
    ];
  };
  heard();
  try {
    const response = await fetch(url, { ...init, headers, signal: AbortSignal.any([ending.signal, ...(signal ? [signal] : [])]) });
    return { status: response.status, headers: response.headers, body: bodyOf(response) };
  } catch (error) {
    silence();
    throw error;
  }

  async function* bodyOf(response: Response): AsyncGenerator<Uint8Array> {
    let isRead = false;
    try {
      for await (const chunk of response.body ?? []) {
        heard();
        yield chunk;
      }
      isRead = true;
    } finally {
      silence();
      if (!isRead) ending.abort(new Interrupted(`${host} was left`));
    }
  }
}

/** `fetch` for the API: whole answers in JSON. Pages that follow each other for ever end. */
export function apiFetch(options: DoorOptions): typeof fetch {
  const maxPages = 1000;
  const pages = new Set<string>();
  return async (input, init) => {
    const url = String(input);
    if (pages.has(url) || pages.size === maxPages) throw new NotTheHub(`its pages follow each other without an end (${url})`);
    pages.add(url);
    const answer = await ask(url, init ?? {}, options);
    const text = await textOf(answer);
    // What an error says beyond its number is not told, and may be anything.
    if (answer.status >= 400) return new Response(null, { status: answer.status });
    if (!isJson(text)) throw new NotTheHub('its answer is a web page, or cut off');
    return new Response(text, { status: answer.status, headers: answer.headers.has('link') ? { link: answer.headers.get('link')! } : {} });
  };
}

async function textOf({ body }: Answer): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.byteLength;
    if (bytes > maxAnswerBytes) throw new NotTheHub(`its answer has more than ${maxAnswerBytes / 2 ** 20} MB`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

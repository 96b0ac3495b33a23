/** Llama 4 and LFM2: a list of calls as Python writes them, `[search(query="a", limit=3), clock()]`, perhaps between marks. Literals only. */
import type { Parsed, ToolFormat, WrittenCall } from './types.ts';

const MARKS = /<\|(?:python_start|python_end|tool_call_start|tool_call_end)\|>/g;

export const pythonic: ToolFormat = {
  isOf: (template) => template.includes('<|python_start|>') || template.includes('<|tool_call_start|>') || template.includes('[func_name1('),
  parse(text): Parsed {
    const begin = text.search(/\[\s*[A-Za-z_][\w.]*\(/);
    const marked = text.search(MARKS);
    if (begin < 0) return marked < 0 ? { content: text.trim(), calls: [] } : { content: text.slice(0, marked).trim(), calls: [], malformed: 'expected a list of calls such as [name(key="value")]' };
    const content = text.slice(0, begin).replaceAll(MARKS, '').trim();
    try {
      const reader = new Reader(text.slice(begin));
      const calls = reader.list();
      return { content: `${content}${text.slice(begin + reader.at).replaceAll(MARKS, '').replace(/<\|\w+\|>\s*$/, '')}`.trim(), calls };
    } catch (error) {
      // Prose may have brackets too; only what is marked has to be a call.
      if (marked < 0 && content !== '') return { content: text.trim(), calls: [] };
      return { content, calls: [], malformed: error instanceof Error ? error.message : String(error) };
    }
  },
};

/** A recursive descent over the literals of Python. */
class Reader {
  at = 0;
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  list(): WrittenCall[] {
    const calls: WrittenCall[] = [];
    this.#expect('[');
    while (!this.#take(']')) {
      calls.push(this.#call());
      if (!this.#take(',')) {
        this.#expect(']');
        break;
      }
    }
    return calls;
  }

  #call(): WrittenCall {
    const name = this.#match(/[A-Za-z_][\w.]*/y) ?? this.#fail('a name');
    const args: Record<string, unknown> = {};
    this.#expect('(');
    while (!this.#take(')')) {
      const key = this.#match(/[A-Za-z_]\w*/y) ?? this.#fail('key=value');
      this.#expect('=');
      args[key] = this.#value();
      if (!this.#take(',')) {
        this.#expect(')');
        break;
      }
    }
    return { name, arguments: args };
  }

  #value(): unknown {
    const text = this.#match(/"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'/ysu);
    if (text !== null) return unescaped(text.slice(1, -1));
    const number = this.#match(/[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?/y);
    if (number !== null) return Number(number);
    const word = this.#match(/True|False|None|true|false|null/y);
    if (word !== null) return /^t/i.test(word) ? true : /^f/i.test(word) ? false : null;
    if (this.#take('[')) return this.#items(']');
    if (this.#take('(')) return this.#items(')');
    if (this.#take('{')) return this.#entries();
    return this.#fail('a value');
  }

  #items(close: string): unknown[] {
    const items: unknown[] = [];
    while (!this.#take(close)) {
      items.push(this.#value());
      if (!this.#take(',')) {
        this.#expect(close);
        break;
      }
    }
    return items;
  }

  #entries(): Record<string, unknown> {
    const entries: Record<string, unknown> = {};
    while (!this.#take('}')) {
      const key = String(this.#value());
      this.#expect(':');
      entries[key] = this.#value();
      if (!this.#take(',')) {
        this.#expect('}');
        break;
      }
    }
    return entries;
  }

  #match(pattern: RegExp): string | null {
    this.#skipSpace();
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.#text)?.[0] ?? null;
    this.at += found?.length ?? 0;
    return found;
  }

  #take(letter: string): boolean {
    this.#skipSpace();
    if (this.#text[this.at] !== letter) return false;
    this.at += 1;
    return true;
  }

  #expect(letter: string): void {
    if (!this.#take(letter)) this.#fail(letter);
  }

  #skipSpace(): void {
    while (/\s/.test(this.#text[this.at] ?? '')) this.at += 1;
  }

  #fail(expected: string): never {
    const found = this.at < this.#text.length ? JSON.stringify(this.#text.slice(this.at, this.at + 20)) : 'the end';
    throw new Error(`expected ${expected} in a list of calls such as [name(key="value")], found ${found}`);
  }
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', '0': '\0', '\n': '' };

const unescaped = (text: string): string =>
  text.replaceAll(/\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|([^]))/g, (_, wide?: string, narrow?: string, letter = '') =>
    wide !== undefined || narrow !== undefined ? String.fromCharCode(parseInt((wide ?? narrow)!, 16)) : (ESCAPES[letter] ?? letter));

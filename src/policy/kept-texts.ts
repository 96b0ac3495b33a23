/**
 * @file Keys and values of texts that may go on: a tree, so that what several of them begin with is there once.
 *
 * ```
 *   1 + 2 = 3 .            1 + 2 = ─┬─ 3 .  ─── w h y ?
 *   1 + 2 = 3 . w h y ?             └─ 4
 *   1 + 2 = 4
 * ```
 *
 * It is a memory of computations, not of conversations: what was dropped is read again, and nobody but the clock notices.
 */
import { bytesOf, type Columns } from './key-value-cache.ts';

/** Some tokens behind `parent`'s first ones. */
interface Part {
  readonly parent: Part | null;
  /** Tokens of the text before this part. */
  readonly start: number;
  readonly tokenIds: readonly number[];
  readonly columns: Columns;
  /** By where they begin and the first token: where texts part, no two go on alike. */
  readonly children: Map<string, Part>;
}

/** The first `count` of a part's columns. */
export interface KeptColumns {
  readonly columns: Columns;
  readonly count: number;
}

interface Found {
  /** From the root on. */
  readonly path: readonly Part[];
  readonly length: number;
}

interface KeptLimits {
  /** Bytes in all. */
  readonly budget: number;
  readonly bytesPerToken: number;
}

/** Shorter beginnings are as quickly read again. */
const WORTHWHILE = 8;

export class KeptTexts {
  readonly #limits: KeptLimits;
  readonly #root = new Map<string, Part>();
  /** The one used longest ago first; a part is used whenever one behind it is, so the first has none behind it. */
  #byUse = new Set<Part>();
  #bytes = 0;

  constructor(limits: KeptLimits) {
    this.#limits = limits;
  }

  get bytes(): number { return this.#bytes; }
  get isEmpty(): boolean { return this.#byUse.size === 0; }

  /** The longest kept beginning of a text, of at most `limit` tokens. */
  find(tokenIds: readonly number[], limit: number): { length: number; columns: KeptColumns[] } {
    const { path, length } = this.#follow(tokenIds, limit);
    if (length < WORTHWHILE) return { length: 0, columns: [] };
    this.#use(path);
    return { length, columns: path.map(({ columns, start }, index) => ({ columns, count: (path[index + 1]?.start ?? length) - start })) };
  }

  /** Keeps a text, as far as the budget allows; `read` gives its columns from one on. */
  add(tokenIds: readonly number[], read: (from: number) => Columns): void {
    const { path, length } = this.#follow(tokenIds, tokenIds.length);
    this.#use(path);
    const bytes = (tokenIds.length - length) * this.#limits.bytesPerToken;
    if (bytes === 0 || !this.#makeRoom(bytes, new Set(path))) return;
    const parent = path.at(-1) ?? null;
    const part: Part = { parent, start: length, tokenIds: tokenIds.slice(length), columns: read(length), children: new Map() };
    this.#childrenOf(parent).set(keyOf(part), part);
    this.#bytes += bytesOf(part.columns.data);
    this.#use([...path, part]);
  }

  /** Drops a text, except what others begin with. */
  release(tokenIds: readonly number[]): void {
    const { path, length } = this.#follow(tokenIds, tokenIds.length);
    for (const part of path.toReversed()) if (part.children.size === 0 && part.start + part.tokenIds.length <= length) this.#drop(part);
  }

  clear(): void {
    this.#root.clear();
    this.#byUse.clear();
    this.#bytes = 0;
  }

  #follow(tokenIds: readonly number[], limit: number): Found {
    const path: Part[] = [];
    let length = 0;
    for (;;) {
      const next = length < limit ? this.#childrenOf(path.at(-1) ?? null).get(`${length} ${tokenIds[length]}`) : undefined;
      if (next === undefined) return { path, length };
      path.push(next);
      while (length < limit && length - next.start < next.tokenIds.length && next.tokenIds[length - next.start] === tokenIds[length]) length += 1;
    }
  }

  #childrenOf(part: Part | null): Map<string, Part> { return part?.children ?? this.#root; }

  #use(path: readonly Part[]): void {
    for (const part of path.toReversed()) {
      this.#byUse.delete(part);
      this.#byUse.add(part);
    }
  }

  /** False: not without what is wanted. */
  #makeRoom(bytes: number, wanted: ReadonlySet<Part>): boolean {
    if (bytes > this.#limits.budget) return false;
    while (this.#bytes + bytes > this.#limits.budget) {
      const [oldest] = this.#byUse;
      if (oldest === undefined || wanted.has(oldest)) return false;
      this.#drop(oldest);
    }
    return true;
  }

  #drop(part: Part): void {
    this.#childrenOf(part.parent).delete(keyOf(part));
    this.#byUse.delete(part);
    this.#bytes -= bytesOf(part.columns.data);
  }
}

const keyOf = ({ start, tokenIds }: Part): string => `${start} ${tokenIds[0]}`;

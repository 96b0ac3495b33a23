/**
 * @file The rows of the cache while drafts are drawn: which text stands where, and how texts join, part and end.
 *
 * Many that are asked for at once begin, move and end together: whole layouts are the cheapest for them. Where texts come and go one by one,
 * each takes a place that is free, and nobody else is moved for it.
 */
import { draftCount, isAlive, longest, type Branch } from './drafts.ts';
import type { KeyValueCache } from './key-value-cache.ts';

export class Rows {
  readonly #cache: KeyValueCache;
  readonly #most: number;
  /** Row of the cache → what stands there. */
  branches: Branch[] = [];
  /** Do texts come and go one by one? */
  isOpen = false;

  constructor({ cache, maxRows }: { cache: KeyValueCache; maxRows: number }) {
    this.#cache = cache;
    this.#most = maxRows;
  }

  get isEmpty(): boolean { return !this.branches.some(isAlive); }

  clear({ keepPlaces }: { keepPlaces: boolean }): void {
    this.branches = [];
    this.isOpen = false;
    if (keepPlaces) this.#cache.truncate(0);
    else this.#cache.clear();
  }

  /** Finds rows for texts that were read. */
  join(added: readonly Branch[]): number[] {
    if (added.length === 0) return [];
    const unused = this.branches.flatMap((branch, row) => (isAlive(branch) ? [] : [row]));
    const alive = this.branches.filter(isAlive), all = [...alive, ...added];
    const rows = Math.max(this.branches.length + added.length - unused.length, this.branches.length, draftCount(all));
    if (!this.isOpen || rows > this.#cache.room || !this.#cache.fits(longest(all))) {
      this.#layOut({ added: added.length, room: this.#roomFor(draftCount(all)), length: longest(all) });
      unused.length = 0;
    }
    return added.map((branch) => {
      const row = unused.shift() ?? this.branches.length;
      this.branches[row] = branch;
      return row;
    });
  }

  /** Before a step: room for its columns, and not too many rows that nobody needs. */
  tidy(): void {
    const alive = this.branches.filter(isAlive), length = longest(alive), taken = draftCount(alive);
    // Rows that nobody needs ride along until enough of them are there to pay for moving the others.
    const isSparse = !this.isOpen && alive.length <= this.branches.length * 0.75;
    if (isSparse || !this.#cache.fits(length)) this.#layOut({ added: 0, room: this.#roomFor(taken), length });
    else if (this.isOpen) this.#closeGaps();
  }

  /** Where rows come and go one by one, the last ones move into the gaps: a new layout would copy them all. */
  #closeGaps(): void {
    const branches = this.branches;
    for (let row = 0; row < branches.length; row++) {
      while (branches.length > row && !isAlive(branches.at(-1)!)) branches.pop();
      if (row >= branches.length || isAlive(branches[row]!)) continue;
      this.#cache.copy(branches.length - 1, row);
      branches[row] = branches.pop()!;
    }
    this.#cache.truncate(branches.length);
  }

  #layOut({ added, room, length }: { added: number; room: number; length: number }): void {
    this.#cache.relayout({ keep: this.branches.flatMap((branch, row) => (isAlive(branch) ? [row] : [])), added: this.isOpen ? 0 : added, room, length });
    this.branches = this.branches.filter(isAlive);
  }

  /** A batch that others may join has room for some in advance. */
  #roomFor(drafts: number): number {
    return this.isOpen ? Math.max(drafts, Math.min(this.#most, drafts + Math.max(4, Math.ceil(drafts / 4)))) : drafts;
  }

  /** Drafts that drew the same token go on together in their branch's row; for every other token there is a copy of it. */
  part(rows: readonly number[]): void {
    const branches = this.branches;
    const unused = branches.flatMap((branch, row) => (isAlive(branch) ? [] : [row]));
    for (const row of rows) {
      const branch = branches[row]!;
      const [same, ...others] = Map.groupBy(branch.drafts, ({ tokenIds }) => tokenIds.at(-1)!);
      if (same === undefined) continue;
      [branch.token, branch.drafts] = same;
      for (const [token, drafts] of others) {
        const place = unused.pop() ?? branches.length;
        this.#cache.copy(row, place);
        branches[place] = { cached: branch.cached, token, drafts };
      }
    }
  }
}


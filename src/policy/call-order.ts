/** @file Which of the engine's calls wait for which. */

/** What a call does with the weights: draws or computes with them, writes them down, changes them, or does not need them. */
export type Use = 'samples' | 'trains' | 'saves' | 'changes' | 'none';

/**
 * Sampling runs beside everything but a change, training calls one after another, saving waits for the disk beside both. A change waits for all
 * that was asked for before it, and all that is asked for after it waits for the change: nobody can be kept waiting by those who come later.
 */
export class CallOrder {
  #changed: Promise<unknown> = Promise.resolve();
  #trained: Promise<unknown> = Promise.resolve();
  #saved: Promise<unknown> = Promise.resolve();
  readonly #sampling = new Set<Promise<unknown>>();

  /** Begins `work` as soon as its turn has come; it must not reject. */
  enter(use: Use, work: () => Promise<unknown>): void {
    const enter: { [U in Use]: () => void } = {
      none: () => void work(),
      samples: () => {
        const done = this.#changed.then(work).finally(() => this.#sampling.delete(done));
        this.#sampling.add(done);
      },
      trains: () => { this.#trained = this.#trained.then(work); },
      saves: () => { this.#saved = Promise.all([this.#saved, this.#changed]).then(work); },
      changes: () => { this.#changed = this.#trained = Promise.all([this.#trained, this.#saved, ...this.#sampling]).then(work); },
    };
    enter[use]();
  }
}

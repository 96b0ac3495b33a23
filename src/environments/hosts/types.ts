import type { Failure, Outcome } from '../../runtimes/index.ts';

/** A process, ours or somebody else's, that serves an environment at an address. */
export interface Host {
  readonly address: { readonly host: string; readonly port: number };
  /** Why it is there no more; null as long as it is, as far as is known. */
  readonly gone: Failure | null;
  /** Resolves once it is gone. Null: it is not ours, and nobody will tell. */
  readonly ended: Promise<Failure> | null;
  /** Ends it, if it is ours, and says so to whoever waits for it. */
  end(reason: Failure): Promise<void>;
}

/** Where a kind of runtime finds hosts. */
export interface HostSource {
  /** Can there be more than one? */
  readonly isOurs: boolean;
  open(signal?: AbortSignal): Promise<Outcome<Host>>;
}

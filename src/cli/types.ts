/** What the table of commands and the commands have in common. */
import type { Exit } from './exit-codes.ts';
import type { Flag, Flags, Value } from './flags.ts';
import type { Io } from './io.ts';

export interface Invocation {
  args: readonly string[];
  flags: Partial<Flags>;
  io: Io;
}

export type Handler = (invocation: Invocation) => Promise<Exit>;

export interface CommandSpec {
  summary: string;
  /** As commander reads them. */
  args?: readonly { syntax: string; description: string; value?: Value }[];
  flags: readonly Flag[];
  examples?: readonly string[];
  /** Does it read or write models and jobs? Then it says where they are, if that is no matter of course. */
  usesStore?: boolean;
  /** Nothing but the table is loaded before a command is chosen. */
  load: () => Promise<Handler>;
}

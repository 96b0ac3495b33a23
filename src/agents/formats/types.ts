/** How models write calls of tools. */

/** A call as it was written; ids are given later, since few formats have them. */
export interface WrittenCall {
  name: string;
  arguments: Record<string, unknown>;
}

/** An answer without its calls. `malformed`: in one sentence, what of a call cannot be read. */
export interface Parsed {
  content: string;
  calls: WrittenCall[];
  malformed?: string;
}

export interface ToolFormat {
  /** Would a model of this chat template write calls this way? */
  isOf(template: string): boolean;
  /** Takes an answer apart; special tokens are in the text. Never throws. */
  parse(text: string): Parsed;
}

/** `rlrun completions SHELL`: what the shell sources. Given the words so far, which is what that script does: what the last one may become. */
import type { CommandSpec, Handler } from '../types.ts';
import { candidatesFor } from '../candidates.ts';
import { completionScripts } from '../completion-scripts.ts';
import { CommandError } from '../exit-codes.ts';

/** The handler for a table of commands. */
export const completions =
  (commands: Readonly<Record<string, CommandSpec>>): Handler =>
  async ({ args: [shell = '', ...words], io }) => {
    const script = completionScripts[shell];
    if (!script) throw new CommandError('usage', `There are no completions for "${shell}".`, `Known shells: ${Object.keys(completionScripts).join(', ')}.`);
    if (words.length === 0) {
      io.print(script);
      return 'ok';
    }
    const lines = await candidatesFor(words, { commands, io });
    if (lines.length > 0) io.print(lines.join('\n'));
    return 'ok';
  };

/** The command table as a commander program. */
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { type CommandName, commands, groupSummaries } from './commands.ts';
import { exitCodes } from './exit-codes.ts';
import { type Flag, type Flags, type NumberSpec, flagSpecs } from './flags.ts';
import type { CommandSpec, Handler, Invocation } from './types.ts';

export interface Chosen {
  name: CommandName;
  load: () => Promise<Handler>;
  args: Invocation['args'];
  flags: Partial<Flags>;
  usesStore: boolean;
}

export type Parsed = { kind: 'command'; chosen: Chosen } | { kind: 'told'; code: number };

export interface ParseOptions {
  version: string;
  out: (text: string) => void;
  err: (text: string) => void;
  columns: number;
}

/** Finds the command and its flags; help and usage errors are written out at once. */
export async function parse(argv: readonly string[], { version, out, err, columns }: ParseOptions): Promise<Parsed> {
  let chosen: Chosen | null = null;
  const program = describe(new Command('rlrun'), { out, err, columns, help: '--help' });
  program
    .description('Reinforcement-learning post-training of language models as one YAML file, on your own machine.')
    .usage('PIPELINE [options]\n       rlrun COMMAND …')
    .version(version, '-V, --version', 'print the version')
    .addHelpText('after', afterHelp());
  const groups = new Map<string, Command>();
  for (const [name, spec] of Object.entries<CommandSpec>(commands)) {
    const [first, second] = name.split(' ') as [string, string?];
    let parent = program;
    if (second) {
      parent = groups.get(first) ?? describe(new Command(first), { out, err, columns, help: `${first} --help` }).description(groupSummaries[first]!);
      if (!groups.has(first)) program.addCommand(parent);
      groups.set(first, parent);
    }
    const command = describe(new Command(second ?? first), { out, err, columns, help: `${name} --help` }).description(spec.summary);
    for (const { syntax, description } of spec.args ?? []) command.argument(syntax, description);
    for (const flag of spec.flags) command.addOption(optionOf(flag));
    if (spec.examples) command.addHelpText('after', `\nExamples:\n${spec.examples.map((example) => `  ${example}`).join('\n')}`);
    command.action(() => {
      chosen = { name: name as CommandName, load: spec.load, args: command.args, flags: flagsOf(command, spec.flags), usesStore: spec.usesStore ?? false };
    });
    parent.addCommand(command);
  }
  if (argv.length === 0) {
    program.outputHelp();
    return { kind: 'told', code: exitCodes.ok.code };
  }
  try {
    await program.parseAsync(argv, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.code === 'commander.unknownOption') err(await settingMeant(error.message));
    const isHelp = error.exitCode === 0 || error.code === 'commander.help';
    return { kind: 'told', code: isHelp ? exitCodes.ok.code : exitCodes.usage.code };
  }
  return chosen ? { kind: 'command', chosen } : { kind: 'told', code: exitCodes.usage.code };
}

/** `--steps 3` for `--set steps=3`. */
async function settingMeant(message: string): Promise<string> {
  const [, name] = /'--([\w-]+)/.exec(message) ?? [];
  const { keyPlaces } = await import('../config/index.ts');
  const path = keyPlaces().get((name ?? '').replaceAll('-', '_'))?.[0];
  return path === undefined ? '' : `(a setting of the pipeline is written --set ${path}=…)\n`;
}

function describe(command: Command, { out, err, columns, help }: Omit<ParseOptions, 'version'> & { help: string }): Command {
  return command
    .exitOverride()
    .configureOutput({ writeOut: out, writeErr: err, getOutHelpWidth: () => columns, getErrHelpWidth: () => columns })
    .helpOption('-h, --help', 'print this help')
    .helpCommand(false)
    .allowExcessArguments(false)
    .showHelpAfterError(`(rlrun ${help} shows what there is)`);
}

const optionOf = (flag: Flag): Option => {
  const { syntax, description, choices, number, repeatable } = flagSpecs[flag];
  const option = new Option(syntax, description);
  if (choices) option.choices(choices);
  if (number) option.argParser((text) => parseNumber(text, number));
  if (repeatable) option.argParser((text, before: string[] = []) => [...before, text]);
  return option;
};

function parseNumber(text: string, { isWhole = false, from, to }: NumberSpec): number {
  const value = text.trim() === '' ? Number.NaN : Number(text);
  const isOfKind = isWhole ? Number.isSafeInteger(value) : Number.isFinite(value);
  if (isOfKind && value >= from && value <= (to ?? Infinity)) return value;
  throw new InvalidArgumentError(`It takes a ${isWhole ? 'whole ' : ''}number, ${to === undefined ? `${from} or more` : `from ${from} to ${to}`}.`);
}

/** Commander names a value after its long flag; the table names it after its key, since two flags may share a spelling. */
function flagsOf(command: Command, flags: readonly Flag[]): Partial<Flags> {
  const values: Record<string, unknown> = command.opts();
  return Object.fromEntries(flags.flatMap((flag) => {
    const value = values[optionOf(flag).attributeName()];
    return value === undefined ? [] : [[flag, value]];
  }));
}

const environment: readonly (readonly [string, string])[] = [
  ['RLRUN_HOME', 'where models and jobs are kept; .rlrun by default'],
  ['HF_TOKEN', 'for repositories of the Hugging Face Hub that are not public; by default what `hf auth login` left'],
  ['HF_ENDPOINT', 'another Hub than https://huggingface.co'],
  ['HF_HOME', 'what the Hugging Face tools keep, downloads among it: these are not downloaded again'],
  ['HF_HUB_OFFLINE', '1: use what is at hand, and ask no network'],
  ['RLRUN_HUB_CACHE', 'where downloads are kept, for several projects to share; in RLRUN_HOME by default'],
  ['NO_COLOR', 'no colours'],
];

const afterHelp = (): string => `
A value comes from the first of: --set, the file, what it extends, the default. \`rlrun check --resolved\` shows which.

Exit codes:
${Object.values(exitCodes).map(({ code, meaning }) => `  ${String(code).padEnd(4)} ${meaning}`).join('\n')}

Environment:
${environment.map(([name, meaning]) => `  ${name.padEnd(16)} ${meaning}`).join('\n')}

Start here:
  rlrun init && rlrun pipeline.yaml`;

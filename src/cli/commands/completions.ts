/** `rlrun completions SHELL`: completion scripts, made from the command table. */
import type { CommandSpec, Handler } from '../commands.ts';
import { CommandError } from '../exit-codes.ts';
import { flagSpecs } from '../flags.ts';

interface Entry {
  words: string[];
  summary: string;
  flags: { names: string[]; description: string; choices: readonly string[] }[];
}

/** The command table as completion scripts see it. */
interface Outline {
  entries: Entry[];
  firstWords: string[];
  /** First words that take a second one. */
  groups: { name: string; seconds: string[] }[];
  summaryOf: (firstWord: string) => string;
}

function outline(commands: Readonly<Record<string, CommandSpec>>): Outline {
  const entries = Object.entries(commands).map(([name, { summary, flags }]) => ({
    words: name.split(' '),
    summary,
    flags: flags.map((flag) => {
      const { syntax, description, choices = [] } = flagSpecs[flag];
      return { names: syntax.replace(/ <.*$/, '').split(', '), description, choices };
    }),
  }));
  const firstWords = [...new Set(entries.map(({ words }) => words[0]!))];
  const secondsOf = (first: string) => entries.flatMap(({ words }) => (words[0] === first && words[1] ? [words[1]] : []));
  return {
    entries,
    firstWords,
    groups: firstWords.map((name) => ({ name, seconds: secondsOf(name) })).filter(({ seconds }) => seconds.length > 0),
    summaryOf: (first) => commands[first]?.summary ?? secondsOf(first).join(', '),
  };
}

const lines = <T>(items: readonly T[], line: (item: T) => string): string => items.map(line).join('\n');
const longNames = ({ flags }: Entry): string => flags.flatMap(({ names }) => names.filter((name) => name.startsWith('--'))).join(' ');

const bash = ({ entries, firstWords, groups }: Outline): string => `# rlrun completion for bash
_rlrun() {
  local current="\${COMP_WORDS[COMP_CWORD]}" command="\${COMP_WORDS[1]}" flags=""
  COMPREPLY=()
  if [[ $COMP_CWORD -eq 1 ]]; then
    COMPREPLY=($(compgen -W "${firstWords.join(' ')}" -- "$current") $(compgen -f -X '!*.y?(a)ml' -- "$current") $(compgen -d -S / -- "$current"))
    return
  fi
  case "$command" in
${lines(groups, ({ name, seconds }) => `    ${name})
      if [[ $COMP_CWORD -eq 2 ]]; then COMPREPLY=($(compgen -W "${seconds.join(' ')}" -- "$current")); return; fi
      command="${name} \${COMP_WORDS[2]}" ;;`)}
  esac
  case "$command" in
${lines(entries, (entry) => `    "${entry.words.join(' ')}") flags="${longNames(entry)}" ;;`)}
    *) flags="${longNames(entries[0]!)}" ;;
  esac
  if [[ $current == -* ]]; then COMPREPLY=($(compgen -W "$flags --help" -- "$current")); else COMPREPLY=($(compgen -f -- "$current")); fi
}
complete -o filenames -F _rlrun rlrun`;

const quoteZsh = (text: string): string => text.replaceAll("'", "'\\''").replaceAll(/[[\]:]/g, '\\$&');

function zsh({ entries, firstWords, groups, summaryOf }: Outline): string {
  const argumentsOf = ({ flags }: Entry) =>
    flags.flatMap(({ names, description, choices }) => {
      const value = choices.length > 0 ? `:value:(${choices.join(' ')})` : '';
      return names.map((name) => `'${name}[${quoteZsh(description)}]${value}'`);
    });
  return `#compdef rlrun
_rlrun() {
  local -a commands nested
  commands=(
${lines(firstWords, (word) => `    '${word}:${quoteZsh(summaryOf(word))}'`)}
  )
  if (( CURRENT == 2 )); then
    _describe command commands
    _files -g '*.y(a|)ml'
    return
  fi
  local command="$words[2]"
  case "$command" in
${lines(groups, ({ name, seconds }) => `    ${name})
      if (( CURRENT == 3 )); then nested=(${seconds.join(' ')}); _describe subcommand nested; return; fi
      command="${name} $words[3]" ;;`)}
  esac
  case "$command" in
${lines(entries, (entry) => `    "${entry.words.join(' ')}") _arguments ${argumentsOf(entry).join(' ')} '*:file:_files' ;;`)}
    *) _files ;;
  esac
}
compdef _rlrun rlrun`;
}

const quoteFish = (text: string): string => text.replaceAll('\\', '\\\\').replaceAll("'", "\\'");

function fish({ entries, firstWords, groups, summaryOf }: Outline): string {
  const flagLines = ({ words, flags }: Entry) =>
    flags.map(({ names, description, choices }) => {
      const where = words.map((word) => `__fish_seen_subcommand_from ${word}`).join('; and ');
      const spelled = names.map((name) => (name.startsWith('--') ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`)).join(' ');
      const values = choices.length > 0 ? ` -x -a '${choices.join(' ')}'` : '';
      return `complete -c rlrun -n '${where}' ${spelled}${values} -d '${quoteFish(description)}'`;
    });
  return `# rlrun completion for fish
${lines(firstWords, (word) => `complete -c rlrun -n __fish_use_subcommand -a ${word} -d '${quoteFish(summaryOf(word))}'`)}
${lines(groups, ({ name, seconds }) => {
    const all = seconds.join(' ');
    return `complete -c rlrun -f -n '__fish_seen_subcommand_from ${name}; and not __fish_seen_subcommand_from ${all}' -a '${all}'`;
  })}
${lines(entries.flatMap(flagLines), (line) => line)}`;
}

const scripts: Readonly<Record<string, (table: Outline) => string>> = { bash, zsh, fish };

/** The handler for a table of commands. */
export const completions =
  (commands: Readonly<Record<string, CommandSpec>>): Handler =>
  async ({ args: [shell = ''], io }) => {
    const script = scripts[shell];
    if (!script) throw new CommandError('usage', `There are no completions for "${shell}".`, `Known shells: ${Object.keys(scripts).join(', ')}.`);
    io.print(script(outline(commands)));
    return 'ok';
  };

/** `rlrun completions SHELL`: completion scripts, made from the command table. */
import type { CommandSpec, Handler } from '../commands.ts';
import { CommandError } from '../exit-codes.ts';
import { type Flag, flagSpecs } from '../flags.ts';

interface Entry {
  words: string[];
  summary: string;
  flags: { names: string[]; description: string; choices: readonly string[] }[];
}

type Table = Readonly<Record<string, CommandSpec>>;

const entriesOf = (commands: Table): Entry[] =>
  Object.entries(commands).map(([name, { summary, flags }]) => ({
    words: name.split(' '),
    summary,
    flags: flags.map((flag: Flag) => {
      const { syntax, description, choices = [] } = flagSpecs[flag];
      return { names: syntax.replace(/ <.*$/, '').split(', '), description, choices };
    }),
  }));

const longNames = (entry: Entry): string => entry.flags.flatMap(({ names }) => names.filter((name) => name.startsWith('--'))).join(' ');

const scriptsOf = (commands: Table) => {
  const entries = entriesOf(commands);
  const firstWords = [...new Set(entries.map(({ words }) => words[0]!))];
  const subcommands = (first: string): string[] => entries.flatMap(({ words }) => (words[0] === first && words[1] ? [words[1]] : []));
  const groups = firstWords.filter((word) => subcommands(word).length > 0);
  const summaryOf = (word: string): string => commands[word]?.summary ?? subcommands(word).join(', ');
  return {
  bash: () => `# rlrun completion for bash
_rlrun() {
  local current="\${COMP_WORDS[COMP_CWORD]}" command="\${COMP_WORDS[1]}" flags=""
  COMPREPLY=()
  if [[ $COMP_CWORD -eq 1 ]]; then
    COMPREPLY=($(compgen -W "${firstWords.join(' ')}" -- "$current") $(compgen -f -X '!*.y?(a)ml' -- "$current") $(compgen -d -S / -- "$current"))
    return
  fi
  case "$command" in
${groups.map((group) => `    ${group}) if [[ $COMP_CWORD -eq 2 ]]; then COMPREPLY=($(compgen -W "${subcommands(group).join(' ')}" -- "$current")); return; fi; command="${group} \${COMP_WORDS[2]}" ;;`).join('\n')}
  esac
  case "$command" in
${entries.map((entry) => `    "${entry.words.join(' ')}") flags="${longNames(entry)}" ;;`).join('\n')}
    *) flags="${longNames(entries[0]!)}" ;;
  esac
  if [[ $current == -* ]]; then COMPREPLY=($(compgen -W "$flags --help" -- "$current")); else COMPREPLY=($(compgen -f -- "$current")); fi
}
complete -o filenames -F _rlrun rlrun`,

  zsh: () => `#compdef rlrun
_rlrun() {
  local -a commands
  commands=(
${firstWords.map((word) => `    '${word}:${quoteZsh(summaryOf(word))}'`).join('\n')}
  )
  if (( CURRENT == 2 )); then
    _describe command commands
    _files -g '*.y(a|)ml'
    return
  fi
  local command="$words[2]"
  case "$command" in
${groups.map((group) => `    ${group}) if (( CURRENT == 3 )); then local -a nested; nested=(${subcommands(group).join(' ')}); _describe subcommand nested; return; fi; command="${group} $words[3]" ;;`).join('\n')}
  esac
  case "$command" in
${entries.map((entry) => `    "${entry.words.join(' ')}") _arguments ${entry.flags.flatMap((flag) => flag.names.map((name) => `'${name}[${quoteZsh(flag.description)}]${flag.choices.length > 0 ? `:value:(${flag.choices.join(' ')})` : ''}'`)).join(' ')} '*:file:_files' ;;`).join('\n')}
    *) _files ;;
  esac
}
compdef _rlrun rlrun`,

  fish: () =>
    [
      '# rlrun completion for fish',
      ...firstWords.map((word) => `complete -c rlrun -n __fish_use_subcommand -a ${word} -d '${quoteFish(summaryOf(word))}'`),
      ...groups.map((group) => `complete -c rlrun -f -n '__fish_seen_subcommand_from ${group}; and not __fish_seen_subcommand_from ${subcommands(group).join(' ')}' -a '${subcommands(group).join(' ')}'`),
      ...entries.flatMap((entry) =>
        entry.flags.map(({ names, description, choices }) => {
          const where = entry.words.map((word) => `__fish_seen_subcommand_from ${word}`).join('; and ');
          const spelled = names.map((name) => (name.startsWith('--') ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`)).join(' ');
          return `complete -c rlrun -n '${where}' ${spelled}${choices.length > 0 ? ` -x -a '${choices.join(' ')}'` : ''} -d '${quoteFish(description)}'`;
        }),
      ),
    ].join('\n'),
  } as const satisfies Record<string, () => string>;
};

const quoteZsh = (text: string): string => text.replaceAll("'", "'\\''").replaceAll(/[[\]:]/g, '\\$&');
const quoteFish = (text: string): string => text.replaceAll('\\', '\\\\').replaceAll("'", "\\'");

/** The handler for a table of commands. */
export const completions =
  (commands: Table): Handler =>
  async ({ args: [shell = ''], io }) => {
    const scripts = scriptsOf(commands);
    const script = (scripts as Record<string, () => string>)[shell];
    if (!script) throw new CommandError('usage', `There are no completions for "${shell}".`, `Known shells: ${Object.keys(scripts).join(', ')}.`);
    io.print(script());
    return 'ok';
  };

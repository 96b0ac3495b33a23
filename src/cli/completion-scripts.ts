/**
 * What a shell sources to complete `rlrun`. The scripts know nothing themselves: they hand over the words so far, and show what comes back.
 * A line is a word, or a word, a tab and what it is; `:files`, `:pipelines` and `:folders` ask the shell for its own; `:more` says that the
 * word is not over (`train.loss=`), so that no space may follow.
 */

/** Bash splits words at `:`, `=` and `@` as well, and replaces only what follows the last of them. */
const bash = `# rlrun completion for bash
_rlrun() {
  local rest="\${COMP_LINE:0:COMP_POINT}" word skip line file i start
  local -a words=()
  for ((i = 0; i <= COMP_CWORD; i++)); do
    start="\${rest%%[![:space:]]*}"
    rest="\${rest#"$start"}"
    word="\${COMP_WORDS[i]}"
    if ((i == COMP_CWORD)); then word="$rest"; fi
    rest="\${rest#"$word"}"
    if [[ -z $start && i -gt 0 ]]; then words[\${#words[@]}-1]+="$word"; else words+=("$word"); fi
  done
  word="\${words[\${#words[@]}-1]}"
  skip="\${COMP_WORDBREAKS//[^:=]/}"
  if [[ -n $skip ]]; then skip="\${word%"\${word##*[$skip]}"}"; fi
  # Of these three, the @ belongs to what is replaced.
  if [[ $COMP_WORDBREAKS == *@* && "\${word#"$skip"}" == *@* ]]; then skip="\${word%@*}"; fi
  COMPREPLY=()
  while IFS= read -r line; do
    case "$line" in
      :more) compopt -o nospace 2>/dev/null ;;
      :*)
        # Quoting and slashes are for files; a command must not become the folder of its name.
        word="\${word//\\\\/}"
        if [[ \${#COMPREPLY[@]} -eq 0 ]]; then compopt -o filenames 2>/dev/null; fi
        while IFS= read -r file; do COMPREPLY+=("\${file#"$skip"}"); done < <(
          case "$line" in
            :files) compgen -f -- "$word" ;;
            :folders) compgen -d -- "$word" ;;
            :pipelines) shopt -s extglob; compgen -f -X '!*.y?(a)ml' -- "$word"; compgen -d -- "$word" ;;
          esac) ;;
      *) line="\${line%%$'\\t'*}"; COMPREPLY+=("\${line#"$skip"}") ;;
    esac
  done < <("\${words[0]}" completions bash -- "\${words[@]:1}" 2>/dev/null)
}
complete -F _rlrun rlrun`;

/** Sourced, or as a file \`_rlrun\` of $fpath. */
const zsh = `#compdef rlrun
_rlrun() {
  local line files='' all=0
  local -a described more given
  given=("\${(@Q)words[1,CURRENT-1]}" "\${(Q)PREFIX}")
  for line in "\${(@f)$("\${given[1]}" completions zsh -- "\${(@)given[2,-1]}" 2>/dev/null)}"; do
    case "$line" in
      '') ;;
      :more) more=(-S '') ;;
      :files|:pipelines|:folders) files="$line" ;;
      *) described+=("\${\${line//:/\\\\:}/$'\\t'/:}") ;;
    esac
  done
  (( $#described )) && _describe -t words word described "\${(@)more}" && all=1
  case "$files" in
    :files) _files && all=1 ;;
    :pipelines) _files -g '*.(yaml|yml)' && all=1 ;;
    :folders) _files -/ && all=1 ;;
  esac
  (( all ))
}
if [[ "\${funcstack[1]}" == _rlrun ]]; then _rlrun "$@"; else compdef _rlrun rlrun; fi`;

const fish = `# rlrun completion for fish
function __rlrun_complete
  set -l given (commandline -opc)
  set -l word (commandline -ct)
  for line in ($given[1] completions fish -- $given[2..] "$word" 2>/dev/null)
    switch $line
      case :more
      case :files
        __fish_complete_path "$word"
      case :pipelines
        __fish_complete_suffix "$word" .yaml
        __fish_complete_suffix "$word" .yml
      case :folders
        __fish_complete_directories "$word"
      case '*'
        echo $line
    end
  end
end
complete -c rlrun -f -a '(__rlrun_complete)'`;

export const completionScripts: Readonly<Record<string, string>> = { bash, zsh, fish };

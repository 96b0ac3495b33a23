# rlrun completion for bash
_rlrun() {
  local rest="${COMP_LINE:0:COMP_POINT}" word skip line file i start
  local -a words=()
  for ((i = 0; i <= COMP_CWORD; i++)); do
    start="${rest%%[![:space:]]*}"
    rest="${rest#"$start"}"
    word="${COMP_WORDS[i]}"
    if ((i == COMP_CWORD)); then word="$rest"; fi
    rest="${rest#"$word"}"
    if [[ -z $start && i -gt 0 ]]; then words[${#words[@]}-1]+="$word"; else words+=("$word"); fi
  done
  word="${words[${#words[@]}-1]}"
  skip="${COMP_WORDBREAKS//[^:=]/}"
  if [[ -n $skip ]]; then skip="${word%"${word##*[$skip]}"}"; fi
  # Of these three, the @ belongs to what is replaced.
  if [[ $COMP_WORDBREAKS == *@* && "${word#"$skip"}" == *@* ]]; then skip="${word%@*}"; fi
  COMPREPLY=()
  while IFS= read -r line; do
    case "$line" in
      :more) compopt -o nospace 2>/dev/null ;;
      :*)
        # Quoting and slashes are for files; a command must not become the folder of its name.
        word="${word//\\/}"
        if [[ ${#COMPREPLY[@]} -eq 0 ]]; then compopt -o filenames 2>/dev/null; fi
        while IFS= read -r file; do COMPREPLY+=("${file#"$skip"}"); done < <(
          case "$line" in
            :files) compgen -f -- "$word" ;;
            :folders) compgen -d -- "$word" ;;
            :pipelines) shopt -s extglob; compgen -f -X '!*.y?(a)ml' -- "$word"; compgen -d -- "$word" ;;
          esac) ;;
      *) line="${line%%$'\t'*}"; COMPREPLY+=("${line#"$skip"}") ;;
    esac
  done < <("${words[0]}" completions bash -- "${words[@]:1}" 2>/dev/null)
}
complete -F _rlrun rlrun

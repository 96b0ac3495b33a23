#compdef rlrun
_rlrun() {
  local line files='' all=0
  local -a described more given
  given=("${(@Q)words[1,CURRENT-1]}" "${(Q)PREFIX}")
  for line in "${(@f)$("${given[1]}" completions zsh -- "${(@)given[2,-1]}" 2>/dev/null)}"; do
    case "$line" in
      '') ;;
      :more) more=(-S '') ;;
      :files|:pipelines|:folders) files="$line" ;;
      *) described+=("${${line//:/\\:}/$'\t'/:}") ;;
    esac
  done
  (( $#described )) && _describe -t words word described "${(@)more}" && all=1
  case "$files" in
    :files) _files && all=1 ;;
    :pipelines) _files -g '*.(yaml|yml)' && all=1 ;;
    :folders) _files -/ && all=1 ;;
  esac
  (( all ))
}
if [[ "${funcstack[1]}" == _rlrun ]]; then _rlrun "$@"; else compdef _rlrun rlrun; fi

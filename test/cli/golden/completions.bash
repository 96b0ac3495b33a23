# rlrun completion for bash
_rlrun() {
  local current="${COMP_WORDS[COMP_CWORD]}" command="${COMP_WORDS[1]}" flags=""
  COMPREPLY=()
  if [[ $COMP_CWORD -eq 1 ]]; then
    COMPREPLY=($(compgen -W "run check eval models jobs trace sample report losses init completions" -- "$current") $(compgen -f -X '!*.y?(a)ml' -- "$current") $(compgen -d -S / -- "$current"))
    return
  fi
  case "$command" in
    models)
      if [[ $COMP_CWORD -eq 2 ]]; then COMPREPLY=($(compgen -W "list fork checkpoints head diff export prune" -- "$current")); return; fi
      command="models ${COMP_WORDS[2]}" ;;
  esac
  case "$command" in
    "run") flags="--set --resume --watch --from --device --threads --seed --dry-run --no-tui --json --quiet" ;;
    "check") flags="--set --resolved --json --quiet" ;;
    "eval") flags="--set --checkpoint --split --tasks --samples --device --threads --seed --json --quiet" ;;
    "models list") flags="--json --quiet" ;;
    "models fork") flags="--name --if-not-exists --dry-run --json --quiet" ;;
    "models checkpoints") flags="--json --quiet" ;;
    "models head") flags="--set --dry-run --json" ;;
    "models diff") flags="--limit --json" ;;
    "models export") flags="--out --checkpoint --format --dtype --force --json" ;;
    "models prune") flags="--keep --dry-run --json" ;;
    "jobs") flags="--limit --json" ;;
    "trace") flags="--json" ;;
    "sample") flags="--checkpoint --temperature --max-tokens --seed --device --threads --json" ;;
    "report") flags="--out --tensorboard --json" ;;
    "losses") flags="--json" ;;
    "init") flags="--force --json --quiet" ;;
    "completions") flags="" ;;
    *) flags="--set --resume --watch --from --device --threads --seed --dry-run --no-tui --json --quiet" ;;
  esac
  if [[ $current == -* ]]; then COMPREPLY=($(compgen -W "$flags --help" -- "$current")); else COMPREPLY=($(compgen -f -- "$current")); fi
}
complete -o filenames -F _rlrun rlrun

#compdef rlrun
_rlrun() {
  local -a commands nested
  commands=(
    'run:run a pipeline; `rlrun PIPELINE` is short for it'
    'check:prove a pipeline without running it\: the file, its tasks, its rewards'
    'eval:measure a pipeline'\''s model on the held-out tasks'
    'models:list, fork, checkpoints, head, diff, export, prune'
    'jobs:the jobs so far, or one of them'
    'trace:one rollout from prompt to advantage'
    'sample:let a model answer, token by token'
    'report:one self-contained HTML page about one or more jobs'
    'losses:the losses, and what each name stands for'
    'init:write a commented pipeline to start from'
    'completions:a completion script for your shell'
  )
  if (( CURRENT == 2 )); then
    _describe command commands
    _files -g '*.y(a|)ml'
    return
  fi
  local command="$words[2]"
  case "$command" in
    models)
      if (( CURRENT == 3 )); then nested=(list fork checkpoints head diff export prune); _describe subcommand nested; return; fi
      command="models $words[3]" ;;
  esac
  case "$command" in
    "run") _arguments '--set[override a value of the pipeline; may be repeated]' '--resume[go on with the last interrupted job of this pipeline, as if it had not been interrupted]' '-w[stay, and run again when a file of the pipeline changes]' '--watch[stay, and run again when a file of the pipeline changes]' '--from[begin at this checkpoint of the model, or at "base", instead of at its head]' '--device[where to compute\: short for --set model.device=…]:value:(cpu webgpu cuda)' '--threads[threads to compute with\: short for --set model.threads=…]' '--seed[short for --set seed=…]' '--dry-run[say what would happen, change nothing]' '--no-tui[lines instead of the full screen]' '--json[lines of JSON on stdout, for programs]' '-q[errors only]' '--quiet[errors only]' '*:file:_files' ;;
    "check") _arguments '--set[override a value of the pipeline; may be repeated]' '--resolved[print every value, and where it comes from]' '--json[lines of JSON on stdout, for programs]' '-q[errors only]' '--quiet[errors only]' '*:file:_files' ;;
    "eval") _arguments '--set[override a value of the pipeline; may be repeated]' '-c[this checkpoint instead of the head]' '--checkpoint[this checkpoint instead of the head]' '--split[which tasks]:value:(train eval)' '--tasks[how many tasks]' '--samples[sampled attempts per task, for pass@1 and pass@k]' '--device[where to compute\: short for --set model.device=…]:value:(cpu webgpu cuda)' '--threads[threads to compute with\: short for --set model.threads=…]' '--seed[short for --set seed=…]' '--json[lines of JSON on stdout, for programs]' '-q[errors only]' '--quiet[errors only]' '*:file:_files' ;;
    "models list") _arguments '--json[lines of JSON on stdout, for programs]' '-q[errors only]' '--quiet[errors only]' '*:file:_files' ;;
    "models fork") _arguments '-n[the name of the new model]' '--name[the name of the new model]' '--if-not-exists[no error when it exists already]' '--dry-run[say what would happen, change nothing]' '--json[lines of JSON on stdout, for programs]' '-q[errors only]' '--quiet[errors only]' '*:file:_files' ;;
    "models checkpoints") _arguments '--json[lines of JSON on stdout, for programs]' '-q[errors only]' '--quiet[errors only]' '*:file:_files' ;;
    "models head") _arguments '--set[move the head to this checkpoint; "base" for the model as it was forked]' '--dry-run[say what would happen, change nothing]' '--json[lines of JSON on stdout, for programs]' '*:file:_files' ;;
    "models diff") _arguments '-n[at most so many]' '--limit[at most so many]' '--json[lines of JSON on stdout, for programs]' '*:file:_files' ;;
    "models export") _arguments '-o[where to write]' '--out[where to write]' '-c[this checkpoint instead of the head]' '--checkpoint[this checkpoint instead of the head]' '--format[what the export is for]:value:(transformers.js safetensors peft)' '--dtype[precision of the exported weights]:value:(fp32 fp16 q8 q4)' '-f[replace what is there]' '--force[replace what is there]' '--json[lines of JSON on stdout, for programs]' '*:file:_files' ;;
    "models prune") _arguments '--keep[how many of the newest checkpoints stay]' '--dry-run[say what would happen, change nothing]' '--json[lines of JSON on stdout, for programs]' '*:file:_files' ;;
    "jobs") _arguments '-n[at most so many]' '--limit[at most so many]' '--json[lines of JSON on stdout, for programs]' '*:file:_files' ;;
    "trace") _arguments '--json[lines of JSON on stdout, for programs]' '*:file:_files' ;;
    "sample") _arguments '-c[this checkpoint instead of the head]' '--checkpoint[this checkpoint instead of the head]' '-t[0 is greedy]' '--temperature[0 is greedy]' '--max-tokens[end after so many tokens]' '--seed[short for --set seed=…]' '--device[where to compute\: short for --set model.device=…]:value:(cpu webgpu cuda)' '--threads[threads to compute with\: short for --set model.threads=…]' '--json[lines of JSON on stdout, for programs]' '*:file:_files' ;;
    "report") _arguments '-o[where to write]' '--out[where to write]' '--tensorboard[write TensorBoard event files as well]' '--json[lines of JSON on stdout, for programs]' '*:file:_files' ;;
    "losses") _arguments '--json[lines of JSON on stdout, for programs]' '*:file:_files' ;;
    "init") _arguments '-f[replace what is there]' '--force[replace what is there]' '--json[lines of JSON on stdout, for programs]' '-q[errors only]' '--quiet[errors only]' '*:file:_files' ;;
    "completions") _arguments  '*:file:_files' ;;
    *) _files ;;
  esac
}
compdef _rlrun rlrun

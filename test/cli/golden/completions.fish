# rlrun completion for fish
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
complete -c rlrun -f -a '(__rlrun_complete)'

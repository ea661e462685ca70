# Completion of cloudbackup's inv for fish: ./inv --print-completion-script fish >~/.config/fish/completions/inv.fish
function __cloudbackup
    set -l before (commandline --tokenize --cut-at-cursor --current-process)
    set -l now (commandline --current-token --cut-at-cursor)
    set -l found ($before[1] --complete -- $before $now 2>/dev/null)
    if count $found >/dev/null
        printf '%s\n' $found
    else
        __fish_complete_path $now
    end
end
complete --command inv --no-files --arguments '(__cloudbackup)'

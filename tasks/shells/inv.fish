# Completion of cloudbackup's inv for fish: ./inv --print-completion-script fish >~/.config/fish/completions/inv.fish
function __cloudbackup
    set -l before (commandline --tokenize --cut-at-cursor --current-process)
    set -l now (commandline --current-token --cut-at-cursor)
    set -l program (string replace --regex '^~(?=/)' -- $HOME $before[1])
    string match --quiet '*/*' -- $program; or set program (command --search -- $program)
    set -l found
    # The Tab key runs the program that printed this, and not another folder's ./inv, which may be anybody's.
    if test -n "$program"; and test (builtin realpath -- $program 2>/dev/null; or echo) = @INV@
        set found ($program --complete -- $before $now 2>/dev/null)
    end
    if count $found >/dev/null
        printf '%s\n' $found
    else
        __fish_complete_path $now
    end
end
complete --command inv --no-files --arguments '(__cloudbackup)'

# Completion of cloudbackup's inv for zsh: source <(./inv --print-completion-script zsh)
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
_cloudbackup() {
    local -a found
    local program=${~words[1]}
    [[ $program == */* ]] || program=$commands[$program]
    # The Tab key runs the program that printed this, and not another folder's ./inv, which may be anybody's.
    if [[ $program -ef @INV@ ]]; then
        found=(${(f)"$("$program" --complete -- "${(@)words[1,CURRENT]}" 2>/dev/null)"})
    fi
    if (( $#found )); then
        compadd -a found
    else
        _files
    fi
}
compdef _cloudbackup inv ./inv

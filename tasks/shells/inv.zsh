# Completion of cloudbackup's inv for zsh: source <(./inv --print-completion-script zsh)
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
_cloudbackup() {
    local -a found
    local program=${~words[1]}
    found=(${(f)"$("$program" --complete -- "${(@)words[1,CURRENT]}" 2>/dev/null)"})
    if (( $#found )); then
        compadd -a found
    else
        _files
    fi
}
compdef _cloudbackup inv ./inv

# Completion of cloudbackup's inv for bash: source <(./inv --print-completion-script bash)
_cloudbackup() {
    local IFS=$'\n' program=${1/#\~/$HOME}
    # shellcheck disable=SC2207  # candidates are lines without blanks that a shell would expand
    COMPREPLY=($("$program" --complete -- "${COMP_WORDS[@]:0:COMP_CWORD+1}" 2>/dev/null))
}
complete -o default -F _cloudbackup inv ./inv

# Completion of cloudbackup's inv for bash: source <(./inv --print-completion-script bash)
_complete_inv() {
    local IFS=$'\n' program=${1/#\~/$HOME} typed=${COMP_CWORD:-${#COMP_WORDS[@]}}
    COMPREPLY=()
    [[ $program == */* ]] || program=$(type -P -- "$program")
    # The Tab key runs the program that printed this, and not another folder's ./inv, which may be anybody's.
    [[ $program -ef @INV@ ]] || return 0
    # shellcheck disable=SC2207  # candidates are lines without blanks that a shell would expand
    COMPREPLY=($("$program" --complete -- "${COMP_WORDS[@]:0:typed+1}" 2>/dev/null))
}
complete -o default -F _complete_inv inv ./inv

#!/bin/sh
# Part of `ldap_dump.sh` and `ldap_load.sh`, before them.

configuration() { # FILTER, options that name it: prints entries of slapd's configuration
    filter=$1
    shift
    case ${1-} in
    -f) # slapcat shows no entries of a slapd.conf: they are made of it in a private folder (tried, OpenLDAP 2.5)
        made=$(mktemp -d /var/tmp/cloudbackup-ldap-XXXXXXXX) || return
        said=$(slaptest -f "$2" -F "$made" 2>&1) && slapcat -F "$made" -n 0 -o ldif-wrap=no -a "$filter"
        ended=$?
        rm -rf "$made"
        [ "$ended" = 0 ] || printf '%s\n' "$said" >&2
        return "$ended"
        ;;
    *) slapcat "$@" -n 0 -o ldif-wrap=no -a "$filter" ;;
    esac
}

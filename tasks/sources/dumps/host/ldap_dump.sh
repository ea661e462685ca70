#!/bin/sh
# Writes a database of slapd as LDIF to standard output, while slapd runs. Arguments: the suffix; options that name the
# configuration.
#
# Before the entries stand comments: the server's modules and schema, without which the entries cannot be read. Lines are
# not folded, so that one that stayed is found again in the next dump.
set -u
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
suffix=$1
shift
command -v slapcat >/dev/null || {
    echo "slapcat is not installed: it runs where slapd does" >&2
    exit 1
}
config=$(configuration '(|(objectClass=olcModuleList)(objectClass=olcSchemaConfig))' "$@") || exit
printf '%s\n' "$config" | sed 's/^/# cloudbackup config: /'
echo
slapcat "$@" -b "$suffix" -o ldif-wrap=no || exit
echo '# cloudbackup: whole'

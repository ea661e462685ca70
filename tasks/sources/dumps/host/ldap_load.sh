#!/bin/sh
# Loads a dump of slapcat, its standard input, into a database of a slapd that is stopped; the old files stay in a folder
# beside the new ones. Arguments: the suffix; options that name the configuration.
#
# The last line of standard error says what was done, or why nothing was changed.
set -u
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
suffix=$1
shift

fail() { # WHY
    printf '%s; nothing was changed\n' "$1" >&2 # echo would obey a backslash in it
    exit 1
}

command -v slapadd >/dev/null || fail "slapadd is not installed: it runs where slapd does"
found=$(configuration "(olcSuffix=$suffix)" "$@" 2>&1) || fail "slapcat: $found"
folder=$(printf '%s\n' "$found" | sed -n 's/^olcDbDirectory: //p' | head -n 1)
[ -n "$folder" ] || fail "slapd's configuration has no database $suffix with a folder of its own"
case $found in
*'objectClass: olcMdbConfig'*) ;;
*) fail "the database $suffix is not of the kind mdb" ;;
esac
for each in /proc/[0-9]*/fd/*; do
    [ "$each" -ef "$folder/data.mdb" ] && fail "slapd runs (process $(printf %s "$each" | cut -d / -f 3)): stop it first"
done
# shellcheck disable=SC2013 # paths of processes have no blanks
for each in $(grep -lsx slapd /proc/[0-9]*/comm); do
    # Without the right to look at it, its open files were passed over above.
    [ -e "${each%comm}exe" ] || ! [ -e "$each" ] ||
        fail "a slapd runs (process $(printf %s "$each" | cut -d / -f 3)), and this account may not see whether it has $folder open: stop it first, or restore as root"
done

aside=$folder/before-$(date -u +%Y-%m-%dT%H-%M-%S)
kept=
undo() {
    trap '' HUP INT TERM
    rm -f -- "$folder/data.mdb" "$folder/lock.mdb"
    [ -z "$kept" ] || mv -- "$aside/data.mdb" "$folder/data.mdb"
    rmdir -- "$aside" 2>/dev/null
}
like=$folder
mkdir -m 700 -- "$aside" || fail "$aside cannot be made"
if [ -e "$folder/data.mdb" ]; then
    mv -- "$folder/data.mdb" "$aside/data.mdb" || fail "$folder/data.mdb cannot be moved aside"
    kept=1
    like=$aside/data.mdb
fi
rm -f -- "$folder/lock.mdb"
trap 'undo; fail "it was interrupted"' HUP INT TERM
# LDIF can have slapadd read files of this host (`include:`, `NAME:< URL`); slapcat writes neither, and folds no line here.
# What comes in their place is no LDIF, at which slapadd ends.
plain() {
    LC_ALL=C sed -E 's/^([Ii][Nn][Cc][Ll][Uu][Dd][Ee]:|[^:]*:<| ).*/cloudbackup refuses a line that slapcat does not write/' ||
        printf '\n\ncloudbackup cannot read the dump\n'
}
said=$(plain | slapadd "$@" -b "$suffix" 2>&1) || {
    undo
    fail "slapadd: $(printf '%s\n' "$said" | grep -v '^Closing DB' | tail -n 2 | paste -sd ' ' -)"
}
# Not through links: the folder is slapd's own.
chown -h -- "$(stat -c %u:%g -- "$like")" "$folder/data.mdb" "$folder/lock.mdb" 2>/dev/null
trap '' HUP INT TERM
if [ -n "$kept" ]; then
    chown -h -- "$(stat -c %u:%g -- "$folder")" "$aside" 2>/dev/null
    echo "the entries below $suffix are back; what was there is in $aside; start slapd now" >&2
else
    rmdir -- "$aside"
    echo "the entries below $suffix are back; start slapd now" >&2
fi

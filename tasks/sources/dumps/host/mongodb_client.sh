#!/bin/sh
# Runs a program of MongoDB's, whose words are the arguments, with the server's address in a file that only a descriptor
# leads to: MONGODB_URI, if it is set. It stands in no command line, and is in no file on a disk.
set -u
[ -n "${MONGODB_URI-}" ] || exec "$@"
address=$(printf %s "$MONGODB_URI" | sed "s/'/''/g")
unset MONGODB_URI
tool=$1
shift
exec 3<&0 # a pipeline takes the place of standard input, from which a dump is restored
{
    printf "uri: '%s'\n" "$address" | {
        exec 4<&0 <&3 3<&-
        exec "$tool" --config=/dev/fd/4 "$@"
    }
}

#!/bin/sh
# Dumps all databases of a PostgreSQL server and its roles to standard output. Arguments: options that psql and pg_dumpall
# both take.
#
# pg_dumpall leaves out a database that takes no connections, and ends with 0. The databases are named for whoever judges the dump.
set -u
shut="SELECT 'shut ' || datname FROM pg_database WHERE NOT datallowconn AND datname <> 'template0'"
found=$(psql --no-psqlrc --quiet --tuples-only --no-align --dbname=template1 "$@" --command="$shut") || exit
[ -z "$found" ] || printf '%s\n' "$found" | sed 's/^/cloudbackup account: /' >&2
exec pg_dumpall "$@"

#!/bin/sh
# Restores a dump of pg_dump (custom format) from standard input, or one table of it, into a new database beside the live
# one. Arguments: the live database; the new one; schema and table, or two empty ones for all; options that psql and
# pg_restore both take.
#
# The last line of standard error says what was done, or why nothing was changed.
set -u
database=$1
new=$2
schema=$3
table=$4
shift 4
made=

sql() { # DATABASE OPTIONS: runs the statements on standard input; a result that is a statement runs too, with \gexec
    on=$1
    shift
    psql --no-psqlrc --quiet --tuples-only --no-align --set=ON_ERROR_STOP=1 --set="db=$database" --set="new=$new" \
        --set="schema=$schema" --set="table=$table" "--dbname=$on" "$@"
}

fail() { # WHY OPTIONS: removes what was made
    why=$1
    shift
    [ -z "$made" ] || sql postgres "$@" >/dev/null 2>&1 <<'SQL'
DROP DATABASE IF EXISTS :"new"
SQL
    echo "$why; nothing was changed" >&2
    exit 1
}
trap 'fail "it was interrupted" "$@"' HUP INT TERM

said=$(sql postgres "$@" 2>&1 <<'SQL'
SELECT coalesce(
  (SELECT format('CREATE DATABASE %I TEMPLATE template0 ENCODING %L LC_COLLATE %L LC_CTYPE %L OWNER %I', :'new',
    pg_encoding_to_char(encoding), datcollate, datctype, pg_get_userbyid(datdba)) FROM pg_database WHERE datname = :'db'),
  format('CREATE DATABASE %I TEMPLATE template0', :'new')) \gexec
SQL
) || fail "the database $new cannot be made: $(printf '%s\n' "$said" | tail -n 1)" "$@"
made=1
if [ -n "$table" ]; then
    said=$(sql "$new" "$@" 2>&1 <<'SQL'
CREATE SCHEMA IF NOT EXISTS :"schema"
SQL
    ) || fail "$said" "$@"
    said=$(pg_restore --exit-on-error --no-owner --no-acl "--schema=$schema" "--table=$table" "--dbname=$new" "$@" 2>&1) ||
        fail "pg_restore: $(printf '%s\n' "$said" | grep -v '^Command was' | tail -n 1); a table that needs a type or a function comes back with its whole database alone" "$@"
    kind=$(sql "$new" "$@" 2>&1 <<'SQL'
SELECT relkind FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = :'schema' AND relname = :'table'
SQL
    ) || fail "$kind" "$@"
    [ "$kind" != p ] || fail "$schema.$table is partitioned, and its rows are in other tables: restore the whole database" "$@"
    rows=$(sql "$new" "$@" 2>&1 <<'SQL'
SELECT count(*) FROM :"schema".:"table"
SQL
    ) || fail "the dump has no table $schema.$table: $(printf '%s\n' "$rows" | head -n 1)" "$@"
    echo "$schema.$table is in the database $new: $rows rows, without its indexes, constraints and defaults" >&2
    exit 0
fi
said=$(pg_restore --exit-on-error "--dbname=$new" "$@" 2>&1) ||
    fail "pg_restore: $(printf '%s\n' "$said" | grep -v '^Command was' | tail -n 1)" "$@"
echo "all of $database is in the database $new" >&2

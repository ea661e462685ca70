#!/bin/sh
# Restores a dump of pg_dump (custom format) from standard input, or one table of it, into a new database beside the live
# one. Arguments: the live database; the new one; schema and table, or two empty ones for all; the program
# `postgresql_table.awk`; options that psql and pg_restore both take.
#
# For a table, standard input is a number on a line, then the dump in so many blocks of 64 KiB, which are zeros after its
# end, and then the dump again: the table's entries are looked for in the first copy.
#
# The last line of standard error says what was done, or why nothing was changed.
set -u
database=$1
new=$2
schema=$3
table=$4
finds=$5
shift 5
made=
exec 4<&0

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
    printf '%s; nothing was changed\n' "$why" >&2 # echo would obey a backslash in it
    exit 1
}
trap 'fail "it was interrupted" "$@"' HUP INT TERM

said=$(sql postgres "$@" 2>&1 <<'SQL'
SELECT coalesce(
  (SELECT format('CREATE DATABASE %I TEMPLATE template0 ENCODING %L LC_COLLATE %L LC_CTYPE %L OWNER %I', :'new',
    pg_encoding_to_char(encoding), datcollate, datctype, pg_get_userbyid(datdba)) || CASE more->>'datlocprovider'
    WHEN 'i' THEN format(' LOCALE_PROVIDER icu ICU_LOCALE %L', coalesce(more->>'datlocale', more->>'daticulocale'))
    WHEN 'b' THEN format(' LOCALE_PROVIDER builtin BUILTIN_LOCALE %L', more->>'datlocale') ELSE '' END
    || CASE WHEN more->>'daticurules' IS NULL THEN '' ELSE format(' ICU_RULES %L', more->>'daticurules') END
    FROM (SELECT *, to_jsonb(d) AS more FROM pg_database d) AS live WHERE datname = :'db'),
  format('CREATE DATABASE %I TEMPLATE template0', :'new')) \gexec
SQL
) || fail "the database $new cannot be made: $(printf '%s\n' "$said" | tail -n 1)" "$@"
made=1
if [ -n "$table" ]; then
    IFS= read -r blocks
    entries=$(dd bs=65536 iflag=fullblock "count=$blocks" 2>/dev/null | { pg_restore --list --verbose && cat >/dev/null; }) ||
        fail "pg_restore cannot list the dump" "$@"
    entries=$(printf '%s\n' "$entries" | awk -v "entry=TABLE $schema $table " "$finds")
    case $? in
    0) ;;
    2) fail "the dump has another table whose name begins with $schema.$table and a blank: restore the whole database" "$@" ;;
    *) fail "the dump has no table $schema.$table" "$@" ;;
    esac
    said=$(printf '%s\n' "$entries" | grep '^[0-9]' | {
        exec 3<&0 <&4
        pg_restore --exit-on-error --no-owner --no-acl --use-list=/dev/fd/3 "--dbname=$new" "$@" 2>&1
    }) || fail "pg_restore: $(printf '%s\n' "$said" | grep -Ev '^(Command was|DETAIL|HINT|CONTEXT|LINE )' | tail -n 1); its whole database can come back beside the live one" "$@"
    kind=$(sql "$new" "$@" 2>&1 <<'SQL'
SELECT relkind FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = :'schema' AND relname = :'table'
SQL
    ) || fail "$kind" "$@"
    [ "$kind" != p ] || fail "$schema.$table is partitioned, and its rows are in other tables: restore the whole database" "$@"
    rows=$(sql "$new" "$@" 2>&1 <<'SQL'
SELECT count(*) FROM :"schema".:"table"
SQL
    ) || fail "$(printf '%s\n' "$rows" | head -n 1)" "$@"
    cat <&4 >/dev/null # whoever writes the rest of the dump must not fail
    without=$(printf '%s\n' "$entries" | sed -n 's/^left out: //p' | paste -sd , - | sed 's/,/, /g')
    [ -z "$without" ] || without="; left out, as they need other tables: $without"
    printf '%s is in the database %s: %s rows, with its indexes, constraints and sequences%s\n' "$schema.$table" "$new" "$rows" "$without" >&2
    exit 0
fi
said=$(pg_restore --exit-on-error "--dbname=$new" "$@" 2>&1) ||
    fail "pg_restore: $(printf '%s\n' "$said" | grep -Ev '^(Command was|DETAIL|HINT|CONTEXT|LINE )' | tail -n 1)" "$@"
echo "all of $database is in the database $new" >&2

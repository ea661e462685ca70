#!/bin/sh
# Restores a dump of pg_dump (custom format) from standard input into a new database, and exchanges it for the live one,
# which is kept under another name. Arguments: the database, then options that psql and pg_restore both take.
#
# The last line of standard error says what was done, or why nothing was changed. A line `warning: ` before it says what a
# person must see to: rights and settings of the database itself are not in its dump, and stay with the old one.
set -u
database=$1
shift
stamp=$(date -u +%Y%m%d_%H%M%S)
new=$(printf %.40s "$database")_new_$stamp
aside=$(printf %.40s "$database")_before_$stamp

sql() { # DATABASE OPTIONS: runs the statements on standard input; a result that is a statement runs too, with \gexec
    on=$1
    shift
    psql --no-psqlrc --quiet --tuples-only --no-align --set=ON_ERROR_STOP=1 \
        --set="db=$database" --set="new=$new" --set="aside=$aside" "--dbname=$on" "$@"
}

# A restore that was cut off leaves its new database behind, marked by this comment. One that is being filled cannot be
# dropped, as pg_restore is connected to it.
mark='cloudbackup: a restore fills it'
left=$(sql postgres "$@" --set="mark=$mark" 2>/dev/null <<'SQL'
SELECT datname FROM pg_database
WHERE starts_with(datname, left(:'db', 40) || '_new_') AND shobj_description(oid, 'pg_database') = :'mark'
SQL
) || left=
dropped=
while IFS= read -r each; do
    # Whoever may make databases chooses their names: a blank in one must not make two of it.
    case $each in '' | *[!A-Za-z0-9_.\$-]*) continue ;; esac
    # psql has no variables in --command
    sql postgres "$@" --set="old=$each" >/dev/null 2>&1 <<'SQL' && dropped="$dropped; $each of a restore that was cut off was dropped"
DROP DATABASE :"old"
SQL
done <<LEFT
$left
LEFT

fail() { # WHY OPTIONS: removes what was made
    why=$1
    shift
    sql postgres "$@" >/dev/null 2>&1 <<'SQL'
DROP DATABASE IF EXISTS :"new"
SQL
    printf '%s; nothing was changed\n' "$why" >&2 # echo would obey a backslash in it
    exit 1
}

made=$(sql postgres "$@" 2>&1 <<'SQL'
SELECT coalesce(
  (SELECT format('CREATE DATABASE %I TEMPLATE template0 ENCODING %L LC_COLLATE %L LC_CTYPE %L OWNER %I', :'new',
    pg_encoding_to_char(encoding), datcollate, datctype, pg_get_userbyid(datdba)) || CASE more->>'datlocprovider'
    WHEN 'i' THEN format(' LOCALE_PROVIDER icu ICU_LOCALE %L', coalesce(more->>'datlocale', more->>'daticulocale'))
    WHEN 'b' THEN format(' LOCALE_PROVIDER builtin BUILTIN_LOCALE %L', more->>'datlocale') ELSE '' END
    || CASE WHEN more->>'daticurules' IS NULL THEN '' ELSE format(' ICU_RULES %L', more->>'daticurules') END
    FROM (SELECT *, to_jsonb(d) AS more FROM pg_database d) AS live WHERE datname = :'db'),
  format('CREATE DATABASE %I TEMPLATE template0', :'new')) \gexec
SQL
) || fail "the database $new cannot be made: $(printf '%s\n' "$made" | tail -n 1)" "$@"

sql postgres "$@" --set="mark=$mark" >/dev/null 2>&1 <<'SQL'
COMMENT ON DATABASE :"new" IS :'mark'
SQL
trap 'fail "it was interrupted" "$@"' HUP INT TERM

restored=$(pg_restore --exit-on-error "--dbname=$new" "$@" 2>&1) ||
    fail "pg_restore: $(printf '%s\n' "$restored" | grep -Ev '^(Command was|DETAIL|HINT|CONTEXT|LINE )' | tail -n 1)" "$@"

sql postgres "$@" >/dev/null 2>&1 <<'SQL'
COMMENT ON DATABASE :"new" IS NULL
SQL
there=$(sql postgres "$@" 2>&1 <<'SQL'
SELECT count(*) FROM pg_database WHERE datname = :'db'
SQL
) || fail "$there" "$@"
trap '' HUP INT TERM # what is exchanged from here on stays so, and is said
if [ "$there" = 0 ]; then
    renamed=$(sql postgres "$@" 2>&1 <<'SQL'
ALTER DATABASE :"new" RENAME TO :"db"
SQL
) || fail "$renamed" "$@"
    echo "warning: there was no database $database, so encoding, locale and owner are the server's and this role's own" >&2
    echo "the database $database is back$dropped" >&2
    exit 0
fi
# One session does both: nobody connects to the new one under its old name in between.
renamed=$(sql postgres "$@" 2>&1 <<'SQL'
BEGIN;
ALTER DATABASE :"db" RENAME TO :"aside";
ALTER DATABASE :"new" RENAME TO :"db";
COMMIT;
SQL
) || fail "the database $database cannot be moved aside: $(printf '%s\n' "$renamed" | grep -Ev '^(DETAIL|HINT|CONTEXT|LINE )' | tail -n 1): end what is connected to it, then try again" "$@"
own=$(sql postgres "$@" 2>&1 <<'SQL'
SELECT string_agg(line, ', ') FROM (
  SELECT 'rights ' || datacl::text FROM pg_database WHERE datname = :'aside' AND datacl IS NOT NULL
  UNION ALL
  SELECT array_to_string(setconfig, ', ') FROM pg_db_role_setting JOIN pg_database d ON d.oid = setdatabase
  WHERE d.datname = :'aside'
) AS found (line)
SQL
) || own="unknown: $own"
[ -z "$own" ] || printf 'warning: the old database has rights or settings of its own that the new one lacks: %s\n' "$own" >&2
echo "the database $database is back; what was there is the database $aside$dropped" >&2

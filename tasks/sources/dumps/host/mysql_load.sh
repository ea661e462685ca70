#!/bin/sh
# Restores all databases of a dump of `mysql_dump.sh`, its standard input, on a server that has none of them, or only empty
# ones. Arguments: options of the connection.
#
# The last line of standard error says what was done, or why not. The client runs no command of its own that a dump may
# hold (`\!`, `source`), and sends no file.
set -u
client=$(command -v mariadb || command -v mysql) || {
    echo "there is neither mariadb nor mysql; nothing was changed" >&2
    exit 1
}

ask() { # OPTIONS: runs the query on standard input, prints its rows
    "$client" "$@" --batch --raw --skip-column-names --default-character-set=utf8mb4
}

IFS= read -r first || :
digits=${first#-- cloudbackup databases: }
case $digits in
"$first" | '' | *[!0-9A-Fa-f\ ]*)
    echo "this is not a dump that \`dumps: {NAME: {mysql: ...}}\` made; nothing was changed" >&2
    exit 1
    ;;
esac
in="(UPPER('$(printf %s "$digits" | sed "s/ /'), UPPER('/g")'))"

there=$(ask "$@" 2>&1 <<SQL
SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE HEX(SCHEMA_NAME) IN $in AND (
  EXISTS (SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = SCHEMA_NAME)
  OR EXISTS (SELECT 1 FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = SCHEMA_NAME)
  OR EXISTS (SELECT 1 FROM information_schema.EVENTS WHERE EVENT_SCHEMA = SCHEMA_NAME)) ORDER BY 1;
SQL
) || {
    printf '%s; nothing was changed\n' "$there" >&2
    exit 1
}
[ -z "$there" ] || {
    printf 'the server has these databases already: %s; nothing was changed: drop them first, or restore one beside the live one by --database and --into\n' "$(printf %s "$there" | tr '\n' ' ')" >&2
    exit 1
}
# An option `force` of an option file would have errors passed over.
said=$("$client" "$@" --skip-force --binary-mode --skip-local-infile --batch --default-character-set=utf8mb4 \
    --max-allowed-packet=1G 2>&1 >/dev/null) || {
    printf '%s; databases of the dump that are there now are not whole: drop them before the next try\n' "$(printf '%s\n' "$said" | grep -v '^WARNING' | tail -n 1)" >&2 # echo would obey a backslash
    exit 1
}
back=$(ask "$@" 2>&1 <<SQL
SELECT CONCAT(SCHEMA_NAME, ' (', (SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = SCHEMA_NAME), ' tables)')
FROM information_schema.SCHEMATA WHERE HEX(SCHEMA_NAME) IN $in ORDER BY 1;
SQL
) || back="all databases of the dump"
printf 'back: %s\n' "$(printf '%s\n' "$back" | paste -sd , - | sed 's/,/, /g')" >&2

#!/bin/sh
# Dumps databases of a MariaDB or MySQL server to standard output. Arguments: the databases, each on a line of its own, or
# nothing for all but the server's own; then options of the connection.
#
# The first lines name the databases, and the tables that the server had when the dump began; the last one those that it had
# no longer, or in another form, when the dump ended. All others must be in it. They are comments of SQL, names in
# hexadecimal digits. Between them is what mariadb-dump or mysqldump writes.
set -u
LC_ALL=C
export LC_ALL
names=$1
shift

first() { # PROGRAM PROGRAM: prints the first one that is there
    command -v "$1" || command -v "$2" || {
        echo "there is neither $1 nor $2: install the package mariadb-client where these tools run" >&2
        exit 1
    }
}
dump=$(first mariadb-dump mysqldump) || exit
client=$(first mariadb mysql) || exit

ask() { # CONNECTION: runs the query on standard input, prints its rows
    "$client" "$@" --batch --raw --skip-column-names --default-character-set=utf8mb4
}

printed() { # CONNECTION: prints the options that option files give the program
    case ${1-} in
    --defaults-extra-file=*) "$dump" "$1" --print-defaults ;;
    *) "$dump" --print-defaults ;;
    esac
}
# Options that have a dump lack something, whatever is on its command line.
partial='where|ignore-(table|table-data|database|views)|no-data|no-create-info|no-create-db|tab|system|compact|skip-comments'
found=$(printed "$@" 2>/dev/null | tr ' ' '\n' | tr _ - | grep -E "^--($partial)(=|\$)" | head -n 1)
[ -z "$found" ] || {
    echo "an option file has $dump leave something out: ${found%%=*}; take it out of that file" >&2
    exit 1
}

if [ -z "$names" ]; then
    names=$(ask "$@" <<'SQL'
SELECT SCHEMA_NAME FROM information_schema.SCHEMATA
WHERE SCHEMA_NAME NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema') ORDER BY 1;
SQL
    ) || exit
fi
[ -n "$names" ] || {
    echo "the account sees no database but the server's own" >&2
    exit 1
}
hexadecimal=
while IFS= read -r name; do
    hexadecimal="$hexadecimal $(printf %s "$name" | od -An -v -tx1 | tr -d ' \n')"
done <<NAMES
$names
NAMES

tables() { # CONNECTION: prints each table and view, and when it was made
    ask "$@" <<SQL
SELECT CONCAT(HEX(TABLE_SCHEMA), '.', HEX(TABLE_NAME), ' ', IFNULL(UNIX_TIMESTAMP(CREATE_TIME), 0))
FROM information_schema.TABLES WHERE HEX(TABLE_SCHEMA) IN (UPPER('$(echo "$hexadecimal" | sed "s/^ //; s/ /'), UPPER('/g")'))
AND TABLE_TYPE <> 'TEMPORARY' ORDER BY 1;
SQL
}

dumped() { # CONNECTION: writes the dump
    set -- "$@" --single-transaction --quick --skip-lock-tables --routines --triggers --events --hex-blob \
        --no-tablespaces --comments --skip-force --skip-insert-ignore --skip-replace --default-character-set=utf8mb4 \
        --max-allowed-packet=1G
    case $("$dump" --version) in
    *MariaDB*) ;;
    *) set -- "$@" --set-gtid-purged=OFF --loose-column-statistics=0 ;; # MySQL's own, for servers of either kind
    esac
    set -- "$@" --databases --
    while IFS= read -r name; do
        set -- "$@" "$name"
    done <<NAMES
$names
NAMES
    "$dump" "$@" </dev/null
}

# For whoever judges the dump: an account that may not see something leaves it out, and the tools end with 0.
remarks() {
    echo "databases$hexadecimal"
    echo 'SHOW GRANTS;' | ask "$@" 2>/dev/null | sed 's/ IDENTIFIED .*//'
}
remarks "$@" | sed 's/^/cloudbackup account: /' >&2

before=$(tables "$@") || exit
printf -- '-- cloudbackup databases:%s\n' "$hexadecimal"
printf '%s\n' "$before" | sed -n 's/^\([0-9A-F.]*\) .*/-- cloudbackup table: \1/p'
dumped "$@" || exit
after=$(tables "$@") || exit
changed=$(printf '%s\n%s\n%s\n' "$before" "$after" "$after" | sort | uniq -u | sed 's/ .*//' | tr '\n' ' ')
[ "${#changed}" -lt 3000 ] || changed=all
printf -- '-- cloudbackup changed: %s\n' "$changed"

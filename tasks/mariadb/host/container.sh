#!/bin/sh
# Says which MariaDB server runs in this container, where its data is, and how its tools log in: by the option files and
# the socket that are here, or by the root password in the environment, which is not printed. `sh` may be busybox's.
found() { printf 'cloudbackup mariadb %s %s\n' "$1" "$2"; }
grep -qsxE 'mariadbd|mysqld' /proc/[0-9]*/comm || exit 0
command -v mariadb-backup >/dev/null || command -v mariabackup >/dev/null || exit 0 # it can be dumped only
for server in mariadbd mysqld; do command -v "$server" >/dev/null && break; done
version=$("$server" --version 2>/dev/null | head -n 1)
case $version in *MariaDB*) ;; *) exit 0 ;; esac
found version "$version"
for client in mariadb mysql; do command -v "$client" >/dev/null && break; done
ask() { "$client" "$@" --batch --skip-column-names --connect-timeout=10 </dev/null 2>/dev/null; }
# Whether an account may do what a backup needs; a login that may not is the second choice.
able() { ask "$@" --execute='SHOW GRANTS' | grep -qE '^GRANT .*(ALL PRIVILEGES|RELOAD).* ON \*\.\* TO '; }
root() {
  MYSQL_PWD=${MARIADB_ROOT_PASSWORD-${MYSQL_ROOT_PASSWORD-}}
  file=${MARIADB_ROOT_PASSWORD_FILE-${MYSQL_ROOT_PASSWORD_FILE-}}
  [ -n "$MYSQL_PWD" ] || [ -z "$file" ] || MYSQL_PWD=$(cat "$file" 2>/dev/null)
  export MYSQL_PWD HOME=/nonexistent
  [ -n "$MYSQL_PWD" ]
}
datadir='SELECT @@datadir'
if able; then
  found login own
  found datadir "$(ask --execute="$datadir")"
elif (root && able --user=root); then
  found login environment
  found datadir "$(root && ask --user=root --execute="$datadir")"
elif answer=$(ask --execute="$datadir"); then
  found login own
  found datadir "$answer"
fi
exit 0

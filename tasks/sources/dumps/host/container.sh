#!/bin/sh
# Says which databases run in this container that are saved by a dump, and how their tools log in. `sh` may be busybox's.
found() { printf 'cloudbackup %s %s %s\n' "$1" "$2" "$3"; }
runs() { grep -qsxE "$1" /proc/[0-9]*/comm; }
if runs 'postgres(ql)?'; then
  user=${POSTGRES_USER-${POSTGRESQL_USERNAME-postgres}}
  ask() {
    psql --no-psqlrc --no-password --username="$user" --dbname=postgres --tuples-only --no-align "$@" 2>/dev/null </dev/null
  }
  found postgresql user "$user"
  found postgresql folder "${PGDATA-/var/lib/postgresql/data}"
  login=own
  ask --command='' >/dev/null || {
    login=environment
    PGPASSWORD=${POSTGRES_PASSWORD-${POSTGRESQL_PASSWORD-}}
    file=${POSTGRES_PASSWORD_FILE-${POSTGRESQL_PASSWORD_FILE-}}
    [ -n "$PGPASSWORD" ] || [ -z "$file" ] || PGPASSWORD=$(cat "$file" 2>/dev/null)
    export PGPASSWORD
    ask --command='' >/dev/null || login=
  }
  [ -z "$login" ] || found postgresql login "$login"
  every=$(ask --command="SELECT datname FROM pg_database WHERE NOT datistemplate AND datname <> 'postgres'")
  used=$(ask --command="SELECT 1 FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace WHERE relkind IN ('r', 'p')
    AND nspname <> 'information_schema' AND nspname NOT LIKE 'pg\_%' LIMIT 1")
  [ -z "$used" ] || every= # tables in the database postgres itself: the whole server, then
  case $every in '' | *'
'*) ;; *) found postgresql database "$every" ;; esac
fi
# A MariaDB with mariadb-backup is no dump.
if runs 'mysqld|mariadbd' && ! command -v mariadb-backup >/dev/null && ! command -v mariabackup >/dev/null; then
  found server mysqld yes
fi
for server in mongod redis-server valkey-server influxd clickhouse-serv etcd; do
  if runs "$server"; then found server "$server" yes; fi
done
exit 0

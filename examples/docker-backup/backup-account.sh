# Sourced by the entry point of MariaDB's image when it makes a new database, as the user mysql: the account that backs up, and
# what it may. An account without a password is worse than none: then the database is not made, and says why.
backup_password=$(cat /run/secrets/shop-mariadb) || backup_password=
case $backup_password in
'' | *[!A-Za-z0-9+/=_.-]*)
    echo "backup-account.sh: /run/secrets/shop-mariadb cannot be read, is empty, or has other characters than A-Z a-z 0-9 + / = _ . -" >&2
    echo "backup-account.sh: it must be readable for all inside the container (chmod 0444), in a folder that is yours alone" >&2
    exit 1
    ;;
esac
docker_process_sql <<SQL
CREATE USER 'backup'@'%' IDENTIFIED BY '$backup_password';
GRANT RELOAD, PROCESS, BINLOG MONITOR ON *.* TO 'backup'@'%';
SQL
unset backup_password

# Sourced by the entry point of MariaDB's image when it makes a new database: the account that backs up, and what it may.
docker_process_sql <<SQL
CREATE USER 'backup'@'%' IDENTIFIED BY '$(cat /run/secrets/shop-mariadb)';
GRANT RELOAD, PROCESS, BINLOG MONITOR ON *.* TO 'backup'@'%';
SQL

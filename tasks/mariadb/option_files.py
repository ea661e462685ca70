"""What option files on the host have mariadb-backup do, beyond what it is told here.

mariadb-backup reads the groups [mariadb-backup], [mariabackup], [xtrabackup], [mysqld] and more, of every option file
that it finds. What stands there may leave databases out of a backup that ends with `completed OK!` (tried, MariaDB
10.11.19: `databases-exclude=logs` leaves no file of `logs` in the archive).
"""

from collections.abc import Iterable, Mapping

# By the words that give the whole nevertheless (each tried, 10.11.19).
OVERRIDDEN: Mapping[str, str] = {
    "binlog_info": "--binlog-info=auto",
    "databases": "--databases=",
    "databases_exclude": "--databases-exclude=",
    "export": "--skip-export",
    "log_innodb_page_corruption": "--skip-log-innodb-page-corruption",
    "no_lock": "--skip-no-lock",
    "rocksdb_backup": "--rocksdb-backup",
    "skip_rocksdb_backup": "--rocksdb-backup",
    "tables": "--tables=",
    "tables_exclude": "--tables-exclude=",
}
# These have no value that means "not set", or make something else of the run than a backup.
REFUSED = (
    "apply_log_only",
    "compress",
    "copy_back",
    "databases_file",
    "decompress",
    "incremental",
    "incremental_basedir",
    "incremental_dir",
    "incremental_force_scan",
    "incremental_history_name",
    "incremental_history_uuid",
    "incremental_lsn",
    "move_back",
    "prepare",
    "print_param",
    "stats",
    "tables_file",
)
REMEDY = "take it out of the group that mariadb-backup reads ([mariadb-backup], [mariabackup], [xtrabackup], [mysqld])"


def plain(option: str) -> str:
    """Return an option's name as it stands here: in lower case, with `_`, without a value, and without `loose`."""
    return option.lstrip("-").partition("=")[0].replace("-", "_").lower().removeprefix("loose_")


def overriding(options: Iterable[str]) -> list[str]:
    """Return the words for mariadb-backup that undo what option files say, for options of `plain` names."""
    return [OVERRIDDEN[name] for name in sorted(options) if name in OVERRIDDEN]


def overridden(options: Iterable[str]) -> list[str]:
    """Return the options, as a person writes them, that option files give and a backup overrides."""
    return [_written(name) for name in sorted(options) if name in OVERRIDDEN]


def refused(options: Iterable[str]) -> list[str]:
    """Return the options, as a person writes them, with which there can be no whole backup."""
    return [_written(name) for name in sorted(options) if name in REFUSED]


def _written(name: str) -> str:
    return name.replace("_", "-")

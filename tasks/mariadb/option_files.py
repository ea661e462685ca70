"""Options that option files on the host give mariadb-backup, beyond those passed here.

mariadb-backup reads the groups [mariadb-backup], [mariabackup], [xtrabackup], [mysqld] and more, of every option file
that it finds. They can exclude databases from a backup that still ends with `completed OK!` (tried, MariaDB 10.11.19:
`databases-exclude=logs` leaves no file of `logs` in the archive).
"""

from collections.abc import Iterable, Mapping

# Options by the arguments that still produce a complete backup (each tried, 10.11.19).
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
# These have no value for "not set", or turn the run into something other than a backup.
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
    """Normalize an option's name as used here: lower case, with `_`, without value and `loose` prefix."""
    return option.lstrip("-").partition("=")[0].replace("-", "_").lower().removeprefix("loose_")


def overriding(options: Iterable[str]) -> list[str]:
    """Return the arguments for mariadb-backup that undo option files, for options with `plain` names."""
    return [OVERRIDDEN[name] for name in sorted(options) if name in OVERRIDDEN]


def overridden(options: Iterable[str]) -> list[str]:
    """Return the options, as written in an option file, that a backup overrides."""
    return [_written(name) for name in sorted(options) if name in OVERRIDDEN]


def refused(options: Iterable[str]) -> list[str]:
    """Return the options, as written in an option file, with which a complete backup is impossible."""
    return [_written(name) for name in sorted(options) if name in REFUSED]


def _written(name: str) -> str:
    return name.replace("_", "-")

"""What the tools of MariaDB 10.11.19 and 11.8.6 printed when things went wrong, and what a person is told."""

import pytest

from tasks.mariadb import errors

CASES = [
    (("[00] 2026-11-23 00:48:47 Error: missing required privilege RELOAD on *.*\n"
     "[00] 2026-11-23 00:48:47 Current privileges, as reported by 'SHOW GRANTS': "),
     "may not RELOAD", "GRANT RELOAD ON *.*"),
    (("[00] FATAL ERROR: 2026-11-23 00:48:13 failed to execute query SHOW MASTER STATUS: Access denied; you need "
     "(at least one of) the SUPER, BINLOG MONITOR privilege(s) for this operation"),
     "may not BINLOG MONITOR", "GRANT BINLOG MONITOR ON *.*"),
    (("[00] 2026-11-23 00:26:18 Failed to connect to MariaDB server: Access denied for user 'backup'@'localhost' "
     "(using password: YES)."),
     "refuses the account 'backup'@'localhost'", "password"),
    ("[00] 2026-11-28 14:13:26 Failed to connect to server: Access denied for user ''@'localhost'.",
     "refuses a login from localhost that names no account", "`user` under `mariadb`"),
    ("ERROR 1045 (28000): Access denied for user 'backup'@'10.0.0.7' (using password: NO)",
     "refuses the account 'backup'@'10.0.0.7'", "password"),
    (("Failed to connect to MariaDB server: Can't connect to local server through socket '/run/mysqld/mysqld.sock' "
     '(2 "No such file or directory").'),
     "no database server answers at /run/mysqld/mysqld.sock", "start the server"),
    ("ERROR 2002 (HY000): Can't connect to server on '127.0.0.1' (115)",
     "no database server answers at 127.0.0.1", "start the server"),
    (("[00] FATAL ERROR: 2026-11-24 00:45:23 failed to execute query BACKUP LOCK `mysql`.`index_stats`: Server has gone "
     "away\ncloudbackup: mariadb-backup did not say that it completed\nalign: the stream ends before *_checkpoints"),
     "ended or was restarted during the backup", "once it answers"),
    ("ERROR 2005 (HY000): Unknown server host 'no.such.example' (-2)",
     "host name no.such.example is not known", "correct `host`"),
    ("Could not open required defaults file: /nope\nFatal error in defaults handling. Program aborted",
     "option file /nope cannot be read", "defaults_file"),
    (("mariadb-backup: Can't change dir to '/tmp/data/' (errno: 13 \"Permission denied\")\n"
     "[00] 2026-11-23 00:48:19 my_setwd() failed , /tmp/data/"),
     "data directory cannot be read: /tmp/data/", "as root"),
    (("mariadb-backup: Can't change dir to '/srv/data/' (errno: 2 \"No such file or directory\")\n"
     "[00] 2026-11-23 00:48:19 my_setwd() failed , /srv/data/"),
     "data directory /srv/data/ is not where mariadb-backup runs", "exec"),
    ("[00] 2026-11-23 00:48:18 Acquiring BACKUP LOCKS...\ncloudbackup: no lock after 600 s",
     "another session holds a lock", "startup_wait_timeout"),
    ("mariadb-backup: Error writing file 'UNKNOWN' (errno: 28 \"No space left on device\")",
     "the disk is full", "free space"),
    (("[00] 2026-11-23 00:48:19 Failed to connect to MariaDB server: SSL connection error: SSL is required, but the "
     "server does not support it."),
     "TLS", "ssl-verify-server-cert"),
    (("[00] 2026-11-24 21:53:09 Failed to connect to MariaDB server: SSL connection error: "
     "error:00000000:lib(0)::reason(0)."),
     "no database server answers", "start the server"),
    ("InnoDB: Operating system error number 24 in a file operation.\nToo many open files",
     "enough files", "ulimit"),
    (("bash: 4711 Done                    printf '%s\\n' \"$PASSWORD\"\n     4712 Killed                  | sh -c 'IFS= read "
     "-r MYSQL_PWD || { echo '\\''cloudbackup: no password came through standard input'\\'' >&2; exit 1; }"),
     "killed on the host", "memory"),
    (("[00] 2026-11-27 21:22:31 Database page corruption detected at page 20, retrying...\n"
     "[00] 2026-11-27 21:22:31 Database page corruption detected at page 20, retrying...\n"
     "[00] 2026-11-27 21:22:31 Error: failed to read page after 10 retries. File ./shop/hurt.ibd seems to be corrupted.\n"
     "[00] FATAL ERROR: 2026-11-27 21:22:31 mariabackup: Error: failed to copy datafile."),
     "page 20 of the table shop/hurt is damaged", "mariadb-backup: Error: failed to read page after 10 retries"),
    (("2026-11-27 21:15:26 0 [ERROR] InnoDB: Attempted to open a previously opened tablespace. Previous tablespace: "
     "./shop/orders.ibd uses space ID: 6. Cannot open filepath: ./shop/t_copy.ibd which uses the same space ID.\n"
     "[00] FATAL ERROR: 2026-11-27 21:15:26 Failed to validate first page of the file shop/t_copy, error 39\n"
     "align: the stream ends before *_checkpoints"),
     "./shop/t_copy.ibd in the data directory is a copy of ./shop/orders.ibd", "move ./shop/t_copy.ibd out"),
    (("2026-11-27 21:15:26 0 [Note] InnoDB: Cannot read first page of './shop/notes.ibd': I/O error\n"
     "[00] FATAL ERROR: 2026-11-27 21:15:26 Failed to validate first page of the file shop/notes, error 37"),
     "shop/notes.ibd in the data directory is no tablespace", "SHOW TABLES"),
    ("[00] 2026-11-27 21:15:28 Failed to connect to MariaDB server: Too many connections.",
     "max_connections", "extra_port"),
    (("[00] 2026-11-27 21:17:47 Was only able to copy log from 1792687 to 1814729, not 1814745\n"
     "[00] 2026-11-27 21:17:47 mariabackup: The required redo still fits within the log capacity, so it has not been "
     "overwritten; check whether the server and backup configuration are the same.\nalign: the stream ends"),
     "the redo log was resized", "mariadb-backup: Was only able to copy log"),
    (("[00] 2026-11-27 21:17:47 Was only able to copy log from 1792687 to 1814729, not 1814745; try increasing "
     "innodb_log_file_size\nalign: the stream ends before *_checkpoints"),
     "wrote over its redo log", "raise innodb_log_file_size"),
    ("sh: 1: exec: mariabackup: not found", "mariadb-backup is not there", "install"),
    ("sh: 1: exec: mysql: not found", "client is not there", "install"),
    ("bash: line 3: python3: command not found", "python3 is not there", "install python3"),
    ("align: the stream ends before the end of './d/t.ibd' (byte 38 of the stream)",
     "no whole backup: the stream ends before the end of './d/t.ibd'", "again"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "what", "remedy"), CASES)
def test_a_known_failure_is_one_sentence_with_a_remedy(text: str, what: str, remedy: str) -> None:
    error = errors.error(text, "shop")
    assert error.what.startswith("shop: ")
    assert what in error.what
    assert remedy in error.remedy
    assert "\n" not in error.what


def test_only_what_passes_is_worth_another_try() -> None:
    retried = [text for text, *_ in CASES if errors.error(text, "").transient]
    passing = ["gone away", "no lock after", "Too many connections", "redo still fits", "try increasing"]
    assert [sum(word in text for text in retried) for word in passing] == [1] * len(passing)
    assert len(retried) == len(passing)


def test_a_damaged_page_that_mariadb_backup_prints_whole_is_shown_to_nobody() -> None:
    dump = f"[00] 2026-11-27 21:22:31 Error: page dump {'secret' * 100}\n"
    error = errors.error(dump + CASES[0][0], "shop")
    assert "secret" not in f"{error.what}{error.remedy}"


def test_an_unknown_failure_shows_the_line_that_says_most() -> None:
    text = "[00] 2026-11-23 00:48:19 Error: the moon is down\n[00] 2026-11-23 00:48:20 Stopping log copying thread.\n"
    assert errors.error(text, "shop").what == "shop: Error: the moon is down"
    assert errors.error("", "shop").what == "shop: it failed without a message"

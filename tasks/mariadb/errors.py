"""Known errors of MariaDB's tools, translated into a sentence and a remedy."""

import re
from dataclasses import dataclass

from tasks.errors import AppError
from tasks.mariadb.access import NO_PASSWORD_CAME

DOCUMENTS = "docs/mariadb.md"
# From MariaDB's documentation: a backup is prepared with the tools of its own series; a data directory is upgraded by
# starting the newer server on it and running mariadb-upgrade.
UPGRADED = (
    "restore it where MariaDB {0} is installed (--to local, or a container of that series); for a newer server, start"
    " that one on the restored directory then and run mariadb-upgrade. Moments before the upgrade need {0} as well"
)
DAMAGED = (
    "CHECK TABLE tells more: dump what can be read, drop it, load it again; the backup before this one is whole."
    " Until then `damaged: save` in the app's `mariadb` makes an incomplete archive of all that can be read"
)
OWN = 2  # lines of mariadb-backup's own to show
LONGEST = 500  # characters of one: it prints a damaged page in full, with its data
OWN_ERROR = re.compile(
    r"^\[\d+\] FATAL ERROR: |^\[\d+\] [\d-]+ [\d:]+ (?:mariabackup: )?Error:"
    r"|^[\d-]+ +[\d:]+ \d+ \[ERROR\]|Was only able"
)
STAMP = r"^(?:\[\d+\] (?:FATAL ERROR: )?[\d-]+ [\d:]+|[\d-]+ +[\d:]+ \d+|cloudbackup:) "
READ_REMEDY = "read it as root: `become: sudo` in the app's file, or `host: root@...`"


class DatabaseError(AppError):
    """A database tool failed. Transient faults have already taken long: a lock that is held, a table being rebuilt."""

    once = True


@dataclass(frozen=True)
class Failure:
    """A known failure. `what` and `remedy` may use the groups of `pattern` as {0}, {1}, ..."""

    pattern: str
    what: str
    remedy: str
    retry: bool = False


# The first match wins, so causes come before their consequences. Each text was seen with MariaDB 10.11.19 or 11.8.6,
# except those of another host's shell. Our own texts only count at the start of a line: bash quotes the whole command,
# and so them, when it reports that one of its programs was killed.
_KNOWN = (
    Failure(
        rf"(?m)^{NO_PASSWORD_CAME}",
        "no password reached the database tool",
        "the command in `exec` must pass standard input on: docker exec -i, kubectl exec -i",
    ),
    Failure(
        r"(?:exec: |sh: (?:line )?\d+: )(?:exec: )?(?:mysql|mariadb): not found|(?:mariadb|mysql): command not found",
        "the MariaDB client is not there",
        "install the package mariadb-client where the database runs, or set `exec`",
    ),
    Failure(
        r"(?:mariabackup|mariadb-backup): (?:command )?not found",
        "mariadb-backup is not there",
        "install the package mariadb-backup, of the server's own release series, where the database runs",
    ),
    Failure(
        r"mbstream: (?:command )?not found",
        "mbstream is not there",
        "install the package mariadb-backup where the data is to be restored",
    ),
    Failure(
        r"(?m)^cloudbackup: the data is encrypted with the keys in (.*), which cannot be read",
        "the data is encrypted with the keys in {0}, which cannot be read there",
        "restore it where they are, or put a copy of them there for the time of the restore",
    ),
    Failure(
        r"(?m)^cloudbackup: the data needs the server's plugin (.*), which is not loaded",
        "the data needs the server's plugin {0}, and an archive does not say what is loaded here",
        "look who made the archive; where it is right, restore it by hand with stock tools",
    ),
    Failure(
        r"(?m)Can't open shared library '(?:[^'\n]*/)?((?:provider|file_key)_\w+)",
        "the data needs the server's plugin {0}, which is not installed there",
        "install its package (mariadb-server, or mariadb-plugin-provider-...), or restore where it is installed",
    ),
    Failure(
        r"(?m)^cloudbackup: the backup is of MariaDB ([\d.]+), mariadb-backup is of ([\d.]+)",
        "the backup is of MariaDB {0}, mariadb-backup there is of {1}",
        UPGRADED,
    ),
    Failure(
        r"python3: (?:command )?not found",
        "python3 is not there",
        "install python3 on the host: a few lines of it put the database's pages on borg's chunk borders",
    ),
    Failure(
        r"Access denied; you need \(at least one of\) the (?:SUPER, )?(.+?) privilege",
        "the database account may not {0}",
        f"run on the server: GRANT {{0}} ON *.* TO the account of the inventory ({DOCUMENTS}#grants)",
    ),
    Failure(
        r"missing required privilege (\w+(?: \w+)*) on",
        "the database account may not {0}",
        f"run on the server: GRANT {{0}} ON *.* TO the account of the inventory ({DOCUMENTS}#grants)",
    ),
    Failure(
        r"Access denied for user ''@'([^' ]*)'",
        "the server refuses a login from {0} that names no account",
        "name it as `user` under `mariadb` of the app, or in the option file that `defaults_file` names",
    ),
    Failure(
        r"Access denied for user '?([^ ]+@'?[^ ']*'?)(?: to database [^ ]+)?(?: \(using password: (\w+)\))?",
        "the server refuses the account '{0}'",
        "check user, password and defaults_file of the app; SHOW GRANTS tells from where the account may come",
    ),
    Failure(
        r"Can't connect to (?:local )?(?:MySQL |MariaDB )?server (?:through socket|on|at) '([^']+)'",
        "no database server answers at {0}",
        "start the server, or correct socket, host and port of the app",
    ),
    Failure(
        r"Unknown (?:MySQL|MariaDB)? ?server host '([^']+)'",
        "the database server's host name {0} is not known on the host",
        "correct `host` of the app",
    ),
    Failure(
        r"Could not open required defaults file: (.+)",
        "the option file {0} cannot be read",
        "correct defaults_file of the app; it is a path where the database tools run, and they must be able to read it "
        "(`become: sudo` lets root)",
    ),
    Failure(
        r"Can't change dir to '([^']+)' \(errno: 2 ",
        "the data directory {0} is not where mariadb-backup runs",
        "set `exec` of the app, so that mariadb-backup runs where the server does",
    ),
    Failure(
        # OpenSSL reports no error of its own: the other side closed the connection (11.8.9, a server killed then).
        r"SSL connection error: error:0+:",
        "no database server answers: it closed the connection during the login",
        "start the server, or look into its error log",
    ),
    Failure(
        r"(SSL connection error: [^\n]+|TLS/SSL error: [^\n]+)",
        "the server and the tool do not agree on TLS: {0}",
        "use the socket, or set ssl-verify-server-cert and ssl-ca in the app's defaults_file",
    ),
    Failure(
        r"Too many open files",
        "mariadb-backup may not open enough files",
        "raise the hard limit of open files for the account that runs it, to the number of tables + 100 (ulimit -Hn)",
    ),
    Failure(
        r"No space left on device|Disk full",
        "the disk is full",
        "free space there; a backup itself needs none on the host",
    ),
    Failure(
        r"(?:Can't change dir to|cannot (?:open|access|stat)|Can't (?:open|read)) '?([^\s']+)'?[^\n]*Permission denied"
        r"|([^\s']+): Permission denied",
        "the data directory cannot be read: {0}",
        READ_REMEDY,
    ),
    Failure(
        r"(?i)Unsupported server version|unsupported redo log format|was created with (?:MariaDB|MySQL) [\d.]+"
        r"|not supported by this version of mariadb-backup",
        "mariadb-backup is of another release series than the server",
        "install the mariadb-backup of the server's own series (SELECT VERSION())",
    ),
    Failure(
        r"(?m)^cloudbackup: no lock after|Lock wait timeout exceeded|timed? ?out waiting for (?:.*)lock",
        "another session holds a lock that the backup must wait for",
        "SHOW PROCESSLIST tells who; startup_wait_timeout of the app sets how long the backup waits",
        retry=True,
    ),
    Failure(
        r"(?i)(?:DDL|ALTER TABLE|optimized|without redo logging)[^\n]*(?:retry|please|executed)[^\n]*",
        "a table was rebuilt during the backup",
        "run the backup again",
        retry=True,
    ),
    Failure(
        r"Server has gone away|Lost connection to (?:MySQL |MariaDB )?server",
        "the database server ended or was restarted during the backup",
        "its error log tells why; run the backup again once it answers",
        retry=True,
    ),
    Failure(
        r"align: damaged: ([^\n]+?) \(byte",
        "damaged: {0}",
        "the backup before this one is whole; restore it, or move what can be dumped to a new server",
    ),
    Failure(
        r"page (\d+), retrying\.\.\.\n[^\n]*File (?:\./)?([^\n]+?)\.ibd seems to be corrupted",
        "page {0} of the table {1} is damaged on the live server",
        DAMAGED,
    ),
    Failure(
        r"File (?:\./)?([^\n]+?)\.ibd seems to be corrupted",
        "the table {0} is damaged on the live server",
        DAMAGED,
    ),
    Failure(
        r"Database page corruption detected[^\n]*|Checksum mismatch[^\n]*|page corruption[^\n]*",
        "the database's own files are damaged: {0}",
        "CHECK TABLE tells which table; the backup before this one is still there",
    ),
    Failure(
        r"Previous tablespace: (\S+) uses space ID: \d+\. Cannot open filepath: (\S+) which uses the same",
        "{1} in the data directory is a copy of {0}, and no table's",
        "move {1} out of the data directory",
    ),
    Failure(
        r"Failed to validate first page of the file ([^,\n]+), error \d+",
        "{0}.ibd in the data directory is no tablespace of InnoDB's, or a damaged one",
        "move it out of the data directory unless a table of that name is there (SHOW TABLES); CHECK TABLE tells more",
    ),
    Failure(
        r"Too many connections",
        "the server has as many connections as it takes (max_connections)",
        "raise max_connections, or set extra_port and extra_max_connections on the server and `port` of the app to it",
        retry=True,
    ),
    Failure(
        r"required redo still fits within the log capacity|innodb_log_file_size[^\n]*(?:chang|resiz)",
        "the redo log was resized during the backup",
        "run the backup again",
        retry=True,
    ),
    Failure(
        r"(?i)redo log[^\n]*overwritten|log block[^\n]*overwritten|increas(?:e|ing) innodb_log_file_size"
        r"|Was only able to copy log from \d+ to \d+, not \d+",
        "the server wrote over its redo log before mariadb-backup had copied it",
        "raise innodb_log_file_size on the server, or back up at a quieter time; `parallel` makes the copy shorter",
        retry=True,
    ),
    Failure(
        r"(?m)^(?:\S*bash: (?:line \d+: )?)? *\d+ Killed\b",
        "a program of the backup was killed on the host",
        "the host may have run out of memory: `journalctl -k` there tells; run it again",
    ),
    Failure(
        r"(?m)Out of memory; restart server|std::bad_alloc|Cannot allocate memory|^MemoryError",
        "a program of the backup did not get the memory that it needs on the host",
        "stop what else takes memory there, add some or swap, or raise the login's limit (`ulimit -v`); docs/hosts.md"
        " says how much is needed",
    ),
    Failure(
        r"align: ([^\n]+)",
        "mariadb-backup's stream is no whole backup: {0}",
        "run the backup again; mariadb-backup's own messages above may say more",
    ),
    Failure(
        r"You are not using binary logging",
        "the server writes no binary logs",
        "set log_bin in its option file and restart it, or take `binlog: true` out of the inventory",
    ),
    Failure(
        r"collect: ([^\n]+)",
        "{0}",
        "run it again; if a binary log cannot be read, read it as root (`become: sudo` of the app), or set `exec`",
    ),
    Failure(
        r"(?m)^cloudbackup: mariadb-backup did not say that it completed",
        "mariadb-backup ended without the line that says it completed",
        "run the backup again; mariadb-backup's own messages may say more",
    ),
)


def find(text: str) -> tuple[str, str, bool] | None:
    """Return (what happened, remedy, whether to retry) for a known failure in a tool's standard error."""
    for failure in _KNOWN:
        found = re.search(failure.pattern, text)
        if found:
            groups = [group or "" for group in found.groups()] or [found.group()]
            filled = [next(filter(None, groups), found.group()).strip("'\""), *groups[1:]]
            return failure.what.format(*filled), failure.remedy.format(*filled), failure.retry
    return None


def error(text: str, context: str) -> DatabaseError:
    """Return the error to raise for a tool's standard error; `context` says what failed, on which host."""
    known = find(text)
    if known:
        what, remedy, retry = known
        return DatabaseError(f"{context}: {what}", "\n".join([remedy, *own_words(text)]), transient=retry)
    return DatabaseError(f"{context}: {_last_line(text)}")


def own_words(text: str) -> list[str]:
    """Return the last lines in which mariadb-backup itself reports an error; empty if there are none."""
    lines = [line.strip() for line in text.splitlines() if len(line) < LONGEST and OWN_ERROR.search(line)]
    return [f"mariadb-backup: {re.sub(STAMP, '', line)}" for line in dict.fromkeys(lines)][-OWN:]


def _last_line(text: str) -> str:
    """Return the line that most likely names the cause, without its prefix."""
    lines = [re.sub(STAMP, "", line.strip()) for line in text.splitlines() if line.strip()]
    for line in reversed(lines):
        if re.search(r"(?i)error|fail|cannot|can't|denied|refused", line):
            return line
    return lines[-1] if lines else "it failed without a message"

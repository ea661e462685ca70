"""The stream that goes into an archive: mariadb-backup's, aligned with borg's chunks, whole or failing."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tasks.mariadb import align
from tasks.mariadb.access import BACKUP, Access
from tasks.mariadb.server import Tools
from tasks.remote.script import Stream, Words, quote

FILTER = "ALIGN_FILTER"  # name of the environment variable that carries the filter's text
INTERPRETER = ("python3", "-I", "-S", "-c")  # without the host's own modules: it must run everywhere alike

# mariadb-backup's exit code 0 alone is no success: its last line must say so as well. When it misses a privilege, it
# shows SHOW GRANTS with the hash of the account's password, which must not get into logs.
NOT_COMPLETED = "cloudbackup: mariadb-backup did not say that it completed"
_WATCH = f"""\
import re, sys
line = b""
for line in sys.stdin.buffer:
    sys.stderr.buffer.write(re.sub(rb"(IDENTIFIED (BY PASSWORD|VIA \\S+( USING| AS)?)) '[^']*'", rb"\\1 '***'", line))
    sys.stderr.buffer.flush()
if not line.rstrip().endswith(b"completed OK!"):
    sys.exit("{NOT_COMPLETED}")
"""


@dataclass(frozen=True)
class DumpOptions:
    """How to dump, beyond what the inventory says.

    `checkpoint` has the server write its changed pages first, so that the redo log in the archive is short.
    `replica` and `galera` save the position of a replica in its master's binary log, and of a Galera node.
    """

    chunk_size: int
    checkpoint: bool = True
    replica: bool = False
    galera: bool = False


def dump(access: Access, tools: Tools, options: DumpOptions) -> Stream:
    """Return the stream of a whole backup of the server.

    Its text is for `bash -o pipefail`; it fails, so that borg drops the archive, when any of its programs fails,
    when mariadb-backup's last line is not `completed OK!`, or when a file or the end is missing in the stream.
    mariadb-backup's messages go to standard error as they come.
    """
    backup = access.command(BACKUP, _words(access, tools, options))
    watch = quote((*INTERPRETER, _WATCH))
    align_words = f'{quote(INTERPRETER)} "${FILTER}" {options.chunk_size:d}'
    # Descriptor 4 carries the data around the program that watches the messages.
    body = f"{{ {{ {backup}; }} 2>&1 >&4 4>&- | {watch} >&2 4>&-; }} 4>&1 | {align_words}"
    return Stream(body, {**access.environment, FILTER: filter_text()})


def _words(access: Access, tools: Tools, options: DumpOptions) -> Words:
    database = access.database
    words = ["--backup", "--stream=mbstream"]
    if options.checkpoint and database.checkpoint and "innodb-log-checkpoint-now" in tools.options:
        words.append("--innodb-log-checkpoint-now")
    if "startup-wait-timeout" in tools.options:
        words.append(f"--startup-wait-timeout={int(database.startup_wait_timeout.total_seconds())}")
    if database.parallel > 1:
        words.append(f"--parallel={database.parallel}")
    if database.throttle is not None:
        words.append(f"--throttle={database.throttle}")
    if database.safe_slave_backup:
        words.append("--safe-slave-backup")
    if options.replica:
        words.append("--slave-info")
    if options.galera:
        words.append("--galera-info")
    return words


def positions(said: Sequence[str]) -> dict[str, str]:
    """Return what the filter told: the texts of `binlog_info`, `slave_info` and `galera_info`, those that came."""
    lines = (line.removeprefix(align.TOLD).split() for line in said if line.startswith(align.TOLD))
    return {name: bytes.fromhex(text).decode(errors="replace").rstrip("\n") for name, text in lines}


def filter_text() -> str:
    """Return the text of the stream filter, as it travels to a host."""
    return Path(align.__file__).read_text(encoding="utf-8")

"""The tar that goes into an archive: mariadb-backup's output, aligned with borg's chunks, complete or failing."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from tasks.mariadb import damage, option_files
from tasks.mariadb.access import BACKUP, Access
from tasks.mariadb.host import align, engines, members, tables
from tasks.mariadb.server import Tools
from tasks.remote.program import INTERPRETER, Program
from tasks.remote.script import Stream, Words, quote

FILTER = Program(align, (damage, engines, tables, members))

# mariadb-backup's exit code 0 alone is not success: its last line must say so as well. If it lacks a privilege, it
# prints SHOW GRANTS with the hash of the account's password, which must not get into logs.
NOT_COMPLETED = "cloudbackup: mariadb-backup did not say that it completed"
NO_LOCK = "cloudbackup: no lock after"
# mariadb-backup's own --startup-wait-timeout waits for a moment without any query on the whole server before it takes a
# lock, and fails if there is always one (tried, 10.11.19). So the time between its messages is measured instead.
_WATCH = f"""\
import os, re, select, signal, sys, time
limit, deadline, rest, last = float(sys.argv[1]), None, b"", b""
def children(of):
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/" + name + "/stat", "rb") as file:
                if int(file.read().rpartition(b")")[2].split()[1]) == of and int(name) != os.getpid():
                    found.append(int(name))
        except OSError:
            pass
    return found
def end(pids):
    for pid in pids:
        end(children(pid))
        try:
            os.kill(pid, signal.SIGKILL)  # another signal waits until the lock is there
        except OSError:
            pass
while True:
    if deadline is not None and not select.select([0], [], [], max(0, deadline - time.monotonic()))[0]:
        end(children(os.getppid()))
        sys.exit("{NO_LOCK} %.0f s" % limit)
    data = os.read(0, 65536)
    lines = (rest + data).split(b"\\n")
    rest = lines.pop() if data else b""
    for line in lines:
        last = line or last
        line = re.sub(rb"(IDENTIFIED (BY PASSWORD|VIA \\S+( USING| AS)?)) '[^']*'", rb"\\1 '***'", line)
        os.write(2, line + b"\\n" if data or line else b"")
        if re.search(rb"Start(ing|ed) BACKUP STAGE (START|FLUSH|BLOCK)|Acquiring BACKUP LOCKS", line):
            deadline = time.monotonic() + limit
        elif b"Acquired locks" in line:
            deadline = None
    if not data:
        break
if not last.rstrip().endswith(b"completed OK!"):
    sys.exit("{NOT_COMPLETED}")
"""


@dataclass(frozen=True)
class DumpOptions:
    """How to dump, beyond what the inventory says.

    `checkpoint` makes the server write its changed pages first, so that the redo log in the archive is short. `replica`
    and `galera` save the position of a replica in its master's binary log, and of a Galera node. `datadir` is the data
    directory as the server sees it; without it, the tables in the stream are not compared with the server's. `login` is
    the name by which the client was let in: mariadb-backup of 10.5 gives none if nothing tells it one (tried, 10.5.23).
    """

    chunk_size: int
    checkpoint: bool = True
    replica: bool = False
    galera: bool = False
    datadir: str | None = None
    login: str = ""


def dump(access: Access, tools: Tools, options: DumpOptions) -> Stream:
    """Return the stream of a full backup of the server: a tar for `borg import-tar`.

    Its text is for `bash -o pipefail`. If any of its programs fails, if mariadb-backup's last line is not `completed
    OK!`, or if a file or the end of the stream is missing, the tar is cut inside a member, so that borg makes no
    archive. mariadb-backup's messages go to standard error as they come.
    """
    backup = access.command(BACKUP, _words(access, tools, options))
    wait = access.database.startup_wait_timeout.total_seconds()
    watch = quote((*INTERPRETER, _WATCH, str(wait)))
    align_words = f'{quote((*FILTER.words, str(options.chunk_size)))} "$parent"'
    if options.datadir is not None:
        align_words += f" {quote((json.dumps(access.beside(tables.LISTING, options.datadir)),))}"
    # Descriptor 4 carries the data past the program that watches the messages.
    completed = quote(("echo", align.COMPLETED.decode().rstrip("\n")))
    watched = f"{{ {{ {backup}; }} 2>&1 >&4 4>&- | {watch} >&2 4>&-; }} 4>&1"
    ready = quote((*FILTER.words, "ready"))
    body = f"{{ parent=$BASHPID; {ready} && {{ {watched} && {completed}; }} | {align_words}; }}"
    return Stream(body, {**access.environment, **FILTER.environment})


def _words(access: Access, tools: Tools, options: DumpOptions) -> Words:
    database = access.database
    words = ["--backup", "--stream=mbstream", *_login(access, tools, options), *option_files.overriding(tools.given)]
    if options.checkpoint and database.checkpoint and "innodb-log-checkpoint-now" in tools.options:
        words.append("--innodb-log-checkpoint-now")
    if database.damaged == "save":
        words.append("--log-innodb-page-corruption")
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


def _login(access: Access, tools: Tools, options: DumpOptions) -> Words:
    named = access.database.user is not None or "user" in tools.given
    return (f"--user={options.login}",) if options.login and not named else ()


def positions(said: Sequence[str]) -> dict[str, str]:
    """Return the filter's report of `binlog_info`, `slave_info` and `galera_info`: the texts of those in the stream."""
    lines = (line.removeprefix(align.TOLD).split() for line in said if line.startswith(align.TOLD))
    return {name: bytes.fromhex(text).decode(errors="replace").rstrip("\n") for name, text in lines}

"""Puts an SQLite database from standard input in the place of another, which is kept beside it. Runs alone on a host.

    python3 -I -S -c PROGRAM FILE

Nothing changes unless the new one is sound and no program has the old one open. Standard library only, Python 3.8 and
later.
"""

import contextlib
import os
import shutil
import sqlite3
import sys
import time
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

BESIDE = ("-wal", "-shm", "-journal")  # files of SQLite's own that belong to a database


def main() -> None:
    """Put the database in the place of the file in the first argument."""
    file = os.path.realpath(sys.argv[1])
    new = f"{file}.cloudbackup-new"
    try:
        os.umask(0o077)
        with fresh(new) as target:
            shutil.copyfileobj(sys.stdin.buffer, target, 1 << 20)
            target.flush()
            give(target.fileno(), file)
            os.fsync(target.fileno())
        check(new)
        if users := opened(file):
            sys.exit(f"{file} is open in process {users[0]}: stop that program, then try again; nothing was changed")
        sys.stderr.write(f"{replaced(file, new)}\n")
    except (sqlite3.Error, OSError) as error:
        sys.exit(f"{file}: {error}; nothing was changed")
    finally:
        with contextlib.suppress(OSError):
            os.unlink(new)


def fresh(path: str) -> BinaryIO:
    """Return a new file. The folder is the app's own: it could have laid a link to another file there."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    return open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def give(new: int, file: str) -> None:
    """Give an open file the owner and mode of the old database, if there is one."""
    if os.path.exists(file):
        old = os.stat(file)
        os.fchmod(new, old.st_mode & 0o777)
        with contextlib.suppress(PermissionError):
            os.fchown(new, old.st_uid, old.st_gid)


def check(file: str) -> None:
    """Raise sqlite3.Error if a database is not sound."""
    with contextlib.closing(sqlite3.connect(f"file:{quote(file)}?mode=ro&immutable=1", uri=True)) as copy:
        found = [str(row[0]) for row in copy.execute("PRAGMA quick_check(1)")]
    if found != ["ok"]:
        raise sqlite3.DatabaseError(f"the dump is not sound: {found[0] if found else 'no answer'}")


def opened(file: str) -> "list[str]":
    """Return the processes that have a file open, as far as this user may see."""
    if not os.path.exists(file):
        return []
    own, found = os.stat(file), []
    for folder in Path("/proc").glob("[0-9]*/fd"):
        with contextlib.suppress(OSError):
            for each in folder.iterdir():
                with contextlib.suppress(OSError):
                    there = each.stat()
                    if (there.st_dev, there.st_ino) == (own.st_dev, own.st_ino):
                        found.append(folder.parent.name)
    return found


def settle(file: str) -> None:
    """Bring what lies beside the old database into it, as SQLite does when its last user ends.

    One that is damaged stays as it is: its files are moved aside together.
    """
    with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(file)) as old:
        old.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def synchronise(folder: str) -> None:
    """Have the names in a folder written to the disk."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def replaced(file: str, new: str) -> str:
    """Move the old database aside, and the new one into its place; return what was done."""
    if not os.path.exists(file):
        os.rename(new, file)
        return f"{file} is back"
    settle(file)
    aside = f"{file}.before-{time.strftime('%Y-%m-%dT%H-%M-%S', time.gmtime())}"
    os.link(file, aside)
    for end in BESIDE:
        if os.path.exists(file + end):
            os.rename(file + end, aside + end)
    os.rename(new, file)
    synchronise(os.path.dirname(file))
    return f"{file} is back; what was there is in {aside}"


if __name__ == "__main__":
    main()

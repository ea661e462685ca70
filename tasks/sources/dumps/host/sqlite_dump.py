"""Writes a consistent copy of an SQLite database that is in use to standard output. Runs alone on a host.

    python3 -I -S -c PROGRAM FILE

The copy is made by SQLite's own online backup (https://sqlite.org/backup.html) in one step, in a private folder below
/var/tmp that is removed afterwards. Writers go on in WAL mode, and wait meanwhile in any other. Standard library only,
Python 3.8 and later.
"""

import contextlib
import os
import shutil
import signal
import sqlite3
import sys
import tempfile
from pathlib import Path
from urllib.parse import quote

FOLDER = "/var/tmp"  # noqa: S108 (a private folder in it)
PATIENCE = 60  # seconds for a lock that a writer holds


def main() -> None:
    """Write the copy of the file in the first argument."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("cloudbackup: ended"))
    folder = tempfile.mkdtemp(prefix="cloudbackup-sqlite-", dir=FOLDER)
    try:
        copy = os.path.join(folder, "copy")
        copied(readable(sys.argv[1], folder), copy)
        with open(copy, "rb") as content:
            shutil.copyfileobj(content, sys.stdout.buffer, 1 << 20)
        sys.stdout.buffer.flush()
    except (sqlite3.Error, OSError) as error:
        sys.exit(f"{sys.argv[1]}: {error}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def readable(file: str, folder: str) -> str:
    """Return a database that SQLite can open: the file, or its copy in a folder. Raises OSError.

    SQLite makes a file `-shm` beside a database in WAL mode, which it cannot on a read-only file system. As long as
    there is none, nobody has the database open, and the file and its `-wal` do not change.
    """
    Path(file).open("rb").close()  # an error of the system says more than SQLite's
    if not os.statvfs(file).f_flag & os.ST_RDONLY or os.path.exists(f"{file}-shm"):
        return file
    still = os.path.join(folder, "still")
    shutil.copyfile(file, still)
    if os.path.exists(f"{file}-wal"):
        shutil.copyfile(f"{file}-wal", f"{still}-wal")
    return still


def copied(file: str, copy: str) -> None:
    """Copy a database. Raises sqlite3.Error, OSError."""
    address = f"file:{quote(os.path.abspath(file))}?mode=ro"
    with contextlib.ExitStack() as opened:
        live = opened.enter_context(contextlib.closing(sqlite3.connect(address, timeout=PATIENCE, uri=True)))
        target = opened.enter_context(contextlib.closing(sqlite3.connect(copy)))
        live.backup(target)
        # The copy of a database in WAL mode is in that mode too: it could not be opened where nothing may be written.
        target.execute("PRAGMA journal_mode = DELETE")


if __name__ == "__main__":
    main()

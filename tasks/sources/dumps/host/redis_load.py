"""Puts an RDB file from standard input in the place of a stopped server's own, which is kept beside it.

    python3 -I -S -c PROGRAM JSON

JSON: `path`, the server's file; `ping`, a command that succeeds while the server answers. Runs alone on a host, Python
3.8 and later, standard library only.

Nothing changes while the server runs: it writes its file when it ends. The last line of standard error says what was
done; a line `warning: ` before it what a person must see to.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import BinaryIO

MARK = 40  # bytes that redis-cli leaves after the file, see `redis.py`
LOGS = ("appendonlydir", "appendonly.aof")
SERVERS = ("redis", "valkey")


def main() -> None:
    """Put the file in the place that the plan in the first argument names."""
    plan = json.loads(sys.argv[1])
    path = os.path.realpath(plan["path"])
    new = f"{path}.cloudbackup-new"
    try:
        os.umask(0o077)
        with fresh(new) as target:
            shutil.copyfileobj(sys.stdin.buffer, target, 1 << 20)
            target.flush()
            trim(target.fileno())
            give(target.fileno(), path)
            os.fsync(target.fileno())
        if runs(plan["ping"], os.path.dirname(path)):
            sys.exit("the server runs, and writes its file when it ends: stop it first; nothing was changed")
        done = replaced(path, new)
        beside = [name for name in LOGS if os.path.exists(os.path.join(os.path.dirname(path), name))]
        if beside:
            sys.stderr.write(
                f"warning: {beside[0]} lies beside it, which a server with `appendonly yes` loads in place of it:"
                " move it aside, start the server with `appendonly no`, then say `CONFIG SET appendonly yes`\n"
            )
        sys.stderr.write(f"{done}; start the server now\n")
    except OSError as error:
        sys.exit(f"{path}: {error}; nothing was changed")
    finally:
        with contextlib.suppress(OSError):
            os.unlink(new)


def fresh(path: str) -> BinaryIO:
    """Return a new file. The folder is the server's own: it could have laid a link to another file there."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    return open(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "w+b")


def give(file: int, path: str) -> None:
    """Give an open file the owner and mode of the old one, or of the folder."""
    like = os.stat(path if os.path.exists(path) else os.path.dirname(path))
    os.fchmod(file, like.st_mode & 0o666)
    with contextlib.suppress(PermissionError):
        os.fchown(file, like.st_uid, like.st_gid)


def trim(file: int) -> None:
    """Remove what redis-cli left after the end of an RDB file."""
    size = os.fstat(file).st_size
    end = os.pread(file, MARK + 9, max(size - MARK - 9, 0))
    if re.fullmatch(rb"\xff[\x00-\xff]{8}[0-9a-f]{40}", end):
        os.ftruncate(file, size - MARK)


def runs(ping: list[str], folder: str) -> bool:
    """Return whether the server answers, or runs in its folder."""
    with contextlib.suppress(FileNotFoundError, PermissionError):  # of the client: then its processes tell
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        try:
            if subprocess.run(ping, check=False, timeout=30, **quiet).returncode == 0:  # type: ignore[call-overload]
                return True
        except subprocess.TimeoutExpired:  # it holds the connection
            return True
    here = os.stat(folder)
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            there = os.stat(f"{process}/cwd")
            if (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino) and (process / "comm").read_text().startswith(
                SERVERS
            ):
                return True
    return False


def replaced(path: str, new: str) -> str:
    """Move the old file aside, and the new one into its place; return what was done."""
    if not os.path.exists(path):
        os.rename(new, path)
        return f"{path} is back"
    aside = f"{path}.before-{time.strftime('%Y-%m-%dT%H-%M-%S', time.gmtime())}"
    os.link(path, aside)
    os.rename(new, path)
    return f"{path} is back; what was there is in {aside}"


if __name__ == "__main__":
    main()

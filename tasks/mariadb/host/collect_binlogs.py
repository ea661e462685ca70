"""Closes the server's binary log and writes all new closed ones to standard output, as a tar.

    python3 -c "$COLLECT" JSON | borg create ...

JSON: `list`, bash that prints the time, closes the binary log and prints names and sizes of all; `cat`, the command
that prints the file whose path is appended; `directory`, where the files are; `after`, the name of the last one that is
already archived, or empty.

Each file is parsed on the way, by `binlog_format`. Standard error ends in a line of JSON: `until`, the server's time
before it closed the log, and `files`. Standard library only, Python 3.8 and later, except `binlog_format`, which is
sent along.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile

from tasks.mariadb.host.binlog_format import NAME, PIECE, Reader, text

TOLD = "cloudbackup binlogs "


class CollectError(Exception):
    """The binary logs could not be read."""


def listed(command: str) -> tuple[int, list[tuple[str, int]]]:
    """Close the binary log; return the time, and names and sizes of all closed ones. Raises CollectError."""
    done = subprocess.run(
        ("bash", "-o", "pipefail", "-c", command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False
    )
    if done.returncode != 0:
        raise CollectError("the server did not close its binary log")
    rows = [line.split("\t") for line in done.stdout.decode().splitlines()]
    if len(rows) < 2:
        raise CollectError("the server lists no binary logs")
    for row in rows[1:]:
        if not NAME.fullmatch(row[0]):  # now, because a restore would refuse it
            raise CollectError(f"{row[0]!a} is no name for a binary log: change log_bin of the server")
    return int(rows[0][0]), [(row[0], int(row[1])) for row in rows[1:-1]]


def fresh(files: list[tuple[str, int]], after: str) -> list[tuple[str, int]]:
    """Return the files after `after`; all if it is not among them."""
    names = [name for name, _ in files]
    return files[names.index(after) + 1 :] if after in names else files


def copy(words: list[str], name: str, size: int) -> dict[str, object]:
    """Write one file as a member of the tar; return the facts about it. Raises CollectError."""
    reader, left = Reader(), size
    source = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    assert source.stdout is not None
    while True:
        piece = source.stdout.read(PIECE)
        reader.feed(piece)
        if left == size:
            member = tarfile.TarInfo(name)
            member.size, member.mtime, member.mode = size, reader.created, 0o640
            sys.stdout.buffer.write(member.tobuf())
        left -= len(piece)
        if left < 0 or not piece:
            break
        sys.stdout.buffer.write(piece)
    source.stdout.close()
    if source.wait() != 0 or left:
        raise CollectError(f"{name} cannot be read whole: it was purged meanwhile, or its reader may not read it")
    sys.stdout.buffer.write(bytes(-size % tarfile.BLOCKSIZE))
    facts = reader.facts()
    states = {"start": text(facts.start), "end": text(facts.end)}
    return {"name": name, **facts._asdict(), **states}


def main() -> int:
    """Run the plan in the first argument; return the exit code."""
    plan = json.loads(sys.argv[1])
    try:
        until, closed = listed(plan["list"])
        new = fresh(closed, plan["after"])
        found = [copy([*plan["cat"], os.path.join(plan["directory"], name)], name, size) for name, size in new]
        sys.stdout.buffer.write(bytes(2 * tarfile.BLOCKSIZE))
        sys.stdout.buffer.flush()
    except CollectError as error:
        sys.stderr.write(f"collect: {error}\n")
        return 1
    except BrokenPipeError:
        sys.stderr.write("collect: whoever reads the binary logs ended early\n")
        os._exit(1)
    sys.stderr.write(f"{TOLD}{json.dumps({'until': until, 'files': found})}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Passes a dump on from standard input to standard output, and fails if it is not whole. Runs alone on a host.

    python3 -I -S -c PROGRAM JSON

JSON: `ends`, a regular expression that the end of a whole dump matches, or ""; `archive`: it is one of `pg_dump
--format=custom`, which `postgresql_archive`, sent along, follows; `bytes` and `sha256` that it must have,
or null. An empty dump is never whole.

On success the last line of standard error is `cloudbackup dump: ` and JSON with `bytes`, `sha256` in hexadecimal. If
the dump is not whole, a line `cloudbackup: ` says why, and the exit code is 1: a pipeline with pipefail fails then, and
borg makes no archive. Standard library only, Python 3.8 and later.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys

from tasks.sources.dumps.host.postgresql_archive import Archive

TOLD = "cloudbackup dump: "
PIECE = 1 << 20
TAIL = 4096  # last bytes in which the end is looked for


def main() -> None:
    """Pass the dump on."""
    plan = json.loads(sys.argv[1])
    total, count, tail = hashlib.sha256(), 0, b""
    archive = Archive() if plan.get("archive") else None
    while piece := os.read(0, PIECE):
        total.update(piece)
        count += len(piece)
        tail = (tail + piece)[-TAIL:]
        if archive:
            archive.take(piece)
        write(piece)
    found = {"bytes": count, "sha256": total.hexdigest()}
    fault = wrong(plan, found, tail) or (archive.fault() if archive else "")
    if fault:
        sys.exit(f"cloudbackup: {fault}")
    sys.stderr.write(f"{TOLD}{json.dumps(found)}\n")


def write(piece: bytes) -> None:
    """Write all of a piece."""
    while piece:
        piece = piece[os.write(1, piece) :]


def wrong(plan: dict[str, object], found: dict[str, object], tail: bytes) -> str:
    """Return what is wrong with a dump that has been read; empty if nothing."""
    if not found["bytes"]:
        return "the command wrote nothing"
    if plan.get("ends") and not re.search(str(plan["ends"]).encode(), tail):
        return "the dump is cut short: it lacks its last line"
    for name, what in (("bytes", "bytes"), ("sha256", "the checksum")):
        if plan.get(name) is not None and plan[name] != found[name]:
            return f"the dump differs from what was saved: {what} {found[name]}, not {plan[name]}"
    return ""


if __name__ == "__main__":
    main()

"""Judges files that were restored for a drill: do they have their known content, and do commands accept them?

    python3 -I -S -c PROGRAM JSON

JSON: `folder`, where they were restored, each with its full path below; `sha256`, an object of absolute paths and the
hexadecimal SHA-256 that each must have; `walls`, a command that prints the names of its walls, run behind walls;
`commands`, each as {"name": its label for people, "words": the command that runs it behind walls}; `patience`, seconds
for each.

Standard output is one line of JSON: `walls`, the output of the first command; `unwalled`, why it failed; `wrong`, a
sentence for each file or command that failed. Standard library only, Python 3.8 and later.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import subprocess
import sys
import threading
from typing import Any

PIECE = 1 << 20
SAID = 2000  # last bytes of a command's output to keep
SHOWN = 300  # characters of them to show


def main() -> None:
    """Judge the files of the plan in the first argument."""
    plan = json.loads(sys.argv[1])
    wrong = [said for path, known in sorted(plan["sha256"].items()) for said in unlike(plan["folder"], path, known)]
    walls = unwalled = ""
    if plan["commands"]:
        asked = subprocess.run(plan["walls"], stdin=subprocess.DEVNULL, capture_output=True, check=False)
        walls = asked.stdout.decode("utf-8", "replace")
        unwalled = last_line(asked.stderr) or f"exit code {asked.returncode}" if asked.returncode else ""
    if not unwalled:
        wrong += [said for command in plan["commands"] for said in failed(command, plan["patience"])]
    print(json.dumps({"walls": walls, "unwalled": unwalled, "wrong": wrong}))


def unlike(folder: str, path: str, known: str) -> list[str]:
    """Return what is wrong with a file, empty if nothing. Symbolic links are not followed: one could lead anywhere."""
    place = os.path.join(os.path.realpath(folder), path.lstrip("/"))
    try:
        if os.path.realpath(place) != place:
            return [f"{path} is a link, or lies behind one: name the file itself"]
        if not stat.S_ISREG(os.lstat(place).st_mode):
            return [f"{path} is no plain file"]
        found = digest(place)
    except OSError as error:
        return [f"{path}: {error.strerror}"]
    return [] if found == known else [f"{path} is not what is known of it: SHA-256 {found}, not {known}"]


def digest(path: str) -> str:
    """Return the hexadecimal SHA-256 of a file."""
    total = hashlib.sha256()
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as content:
        for piece in iter(lambda: content.read(PIECE), b""):
            total.update(piece)
    return total.hexdigest()


def failed(command: dict[str, Any], patience: float) -> list[str]:
    """Run a command; return why it failed, empty if it did not."""
    process = subprocess.Popen(
        command["words"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    late = threading.Event()

    def end() -> None:
        late.set()
        process.kill()

    timer = threading.Timer(patience, end)
    timer.start()
    said = b""
    for piece in iter(lambda: os.read(process.stderr.fileno(), PIECE), b""):  # type: ignore[union-attr]
        said = (said + piece)[-SAID:]
    code = process.wait()
    timer.cancel()
    if not code and not late.is_set():
        return []
    last = last_line(said)
    how = f"took more than {patience:.0f} s" if late.is_set() else f"ended with {code}"
    return [f"`{command['name']}` {how}{': ' if last else ''}{last}"]


def last_line(said: bytes) -> str:
    """Return the last line that is not empty."""
    lines = said.decode("utf-8", "replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")[-SHOWN:]


if __name__ == "__main__":
    main()

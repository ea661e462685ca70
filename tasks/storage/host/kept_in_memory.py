"""Holds a line in memory as a file, and becomes the command in the other arguments, which finds it as descriptor 3.

For ssh before 8.5, which reads a pinned host key only from a file: the place of a file on disk may be full, read-only,
or behind the wall of a restore (`tasks/borg/host/extraction.py`). Runs alone on a host: standard library only, Python
3.8 and later.
"""

from __future__ import annotations

import os
import sys
import tempfile

DESCRIPTOR = 3


def kept(line: bytes) -> int:
    """Return the descriptor of a file that has the line, and no name. Raises OSError."""
    try:
        file = os.memfd_create("kept")
    except (AttributeError, OSError):  # neither every system nor every kernel has it
        with tempfile.TemporaryFile() as place:
            file = os.dup(place.fileno())
    os.write(file, line + b"\n")
    return file


def main() -> None:
    """Keep the first argument, and become the others."""
    os.dup2(kept(os.fsencode(sys.argv[1])), DESCRIPTOR)
    os.set_inheritable(DESCRIPTOR, True)  # also if it was that one already  # noqa: FBT003
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606 (no shell is needed)


if __name__ == "__main__":
    main()

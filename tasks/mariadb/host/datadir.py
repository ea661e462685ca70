"""Tells whether a data directory can be moved aside, or only what is in it. Runs alone on the host.

    python3 -c "$DATADIR" DATADIR PROBE

A data directory that is a mount point can only be emptied, and a bind mount of one file system looks like any other
directory: only trying to rename something out of it tells. So an empty file of the name PROBE is made and goes at once.

Standard output is `beside`, or `within` where the contents are to be moved into a folder inside. What makes a restore
impossible is told on standard error, after `cloudbackup: `. Of the standard library only, Python 3.8 and later.
"""

from __future__ import annotations

import sys
from pathlib import Path


def main() -> str:
    """Try; return the word, or end with what is wrong."""
    datadir, probe = Path(sys.argv[1]), sys.argv[2]
    if not datadir.is_dir():
        sys.exit(f"cloudbackup: there is no directory {datadir}")
    within, beside = datadir / probe, datadir.parent / probe
    try:
        within.open("x").close()
    except OSError as error:
        sys.exit(f"cloudbackup: cannot write into {datadir}: {error.strerror}")
    if datadir.is_symlink():
        within.unlink()
        return "within"
    try:
        within.rename(beside)
        beside.unlink()
    except OSError:
        within.unlink()
        return "within"
    return "beside"


if __name__ == "__main__":
    print(main())

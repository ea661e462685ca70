"""Finds out whether a data directory can be moved aside, or only its contents. Runs alone on the host.

    python3 -c "$DATADIR" DATADIR PROBE

A data directory that is a mount point can only be emptied, and a bind mount within one file system looks like any other
directory: only a trial rename out of it shows the difference. So an empty file named PROBE is created and removed
again.

Standard output is `beside`, or `within` if the contents must be moved into a folder inside. Whatever makes a restore
impossible is printed on standard error, after `cloudbackup: `. Standard library only, Python 3.8 and later.
"""

from __future__ import annotations

import sys
from pathlib import Path


def main() -> str:
    """Print the result, or exit with what is wrong."""
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

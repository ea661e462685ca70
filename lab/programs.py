"""Where the programs lie that the lab runs; Debian keeps servers in /usr/sbin, which a user's PATH may lack."""

import os
import shutil

from tasks.errors import UsageError

_PATH = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"))


def find(name: str) -> str:
    """Return a program's absolute path. Raises UsageError when this machine lacks it."""
    path = shutil.which(name, path=_PATH)
    if path is None:
        raise UsageError(f"the lab needs the program {name}, which this machine lacks", "`./inv demo` installs it")
    return path

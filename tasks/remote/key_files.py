"""Files with encryption keys that an option file out of an archive names: a part of `walls`, with which it travels.

Of the standard library only, Python 3.8 and later.
"""

from __future__ import annotations

import re
from pathlib import Path

UNSEEN = ("root", "home", "proc", "sys", "dev", "run")  # no key file is read from there
LARGEST_KEYS = 1 << 20
KEYS = re.compile(rb"(\s*(#[^\n]*|\d+;[0-9A-Fa-f]{32,64})?[ \t\r]*(\n|$))+")  # id;key in hexadecimal on each line


class DangerError(Exception):
    """What is asked for is refused, with walls or without."""


def key_files(file: Path) -> dict[str, bytes]:
    """Return the files with encryption keys that an option file out of an archive names.

    They are read with this program's rights, so each must look like what it is said to be: keys, or the one line in
    which their passphrase stands, and nothing in a home. Raises DangerError.
    """
    found: dict[str, bytes] = {}
    if not file.is_file() or file.is_symlink() or file.stat().st_size > 1 << 16:
        return found
    for line in file.read_text(errors="replace").splitlines():
        name, _, value = line.partition("=")
        value = value.strip().replace("FILE:", "", 1) if name == "file_key_management_filekey" else value.strip()
        if name not in ("file_key_management_filename", "file_key_management_filekey") or not value.startswith("/"):
            continue
        path = Path(value)
        if ".." in path.parts or len(path.parts) < 3 or path.parts[1] in UNSEEN or path.resolve().parts[1] in UNSEEN:
            raise DangerError(f"the archive wants the file {value[:200]!r} read as its encryption keys")
        if not path.is_file():
            continue  # whoever needs it says so
        with path.open("rb") as opened:
            content = opened.read(LARGEST_KEYS)
        phrase = len(content.splitlines()) == 1 and len(content) <= 257
        if not (phrase if name.endswith("filekey") else content.startswith(b"Salted__") or KEYS.fullmatch(content)):
            raise DangerError(f"the archive names {value[:200]!r} as its encryption keys, and it holds none")
        found[value] = content
    return found

"""Encryption key files that are named in an option file from an archive. Part of `walls`, which sends it to hosts.

Standard library only, Python 3.8 and later.
"""

from __future__ import annotations

import re
from pathlib import Path

UNSEEN = ("root", "home", "proc", "sys", "dev", "run")  # top-level folders from which no key file is read
LARGEST_KEYS = 1 << 20
KEYS = re.compile(rb"(\s*(#[^\n]*|\d+;[0-9A-Fa-f]{32,64})?[ \t\r]*(\n|$))+")  # id;key in hexadecimal on each line


class DangerError(Exception):
    """What was requested is refused, whether or not walls are available."""


def key_files(file: Path) -> dict[str, bytes]:
    """Return the contents, by path, of the encryption key files that an option file from an archive names.

    They are read with this program's rights, so each must look like a key file, or like a file with the one line that
    is its passphrase, and none may be in a home. Raises DangerError.
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
            continue  # the command that needs it reports that it is missing
        with path.open("rb") as opened:
            content = opened.read(LARGEST_KEYS)
        phrase = len(content.splitlines()) == 1 and len(content) <= 257
        if not (phrase if name.endswith("filekey") else content.startswith(b"Salted__") or KEYS.fullmatch(content)):
            raise DangerError(f"the archive names {value[:200]!r} as its encryption keys, and it holds none")
        found[value] = content
    return found

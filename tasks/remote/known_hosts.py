"""known_hosts files, as ssh reads them: a line that cannot be read is passed over (sshd(8), SSH_KNOWN_HOSTS)."""

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import translate
from pathlib import Path
from typing import Literal

MOST = 16 << 20  # bytes of one file
LONGEST = 1 << 16  # bytes of one line; a key of 16,384 bits takes 3 kB
AUTHORITY, REVOKED = "@cert-authority", "@revoked"
Verdict = Literal["right", "unknown", "changed", "revoked"]


@dataclass(frozen=True)
class Known:
    """One line: its marker (empty, AUTHORITY or REVOKED), the names that it is for, the key's type and its bytes."""

    marker: str
    names: str
    kind: str
    blob: bytes

    def is_for(self, name: str) -> bool:
        """Tell whether the line is for a server of this name, as `known_name` writes it."""
        if self.names.startswith("|1|"):
            return _is_hash_of(self.names, name)
        patterns = self.names.lower().split(",")
        if any(_fits(pattern[1:], name) for pattern in patterns if pattern.startswith("!")):
            return False
        return any(_fits(pattern, name) for pattern in patterns if not pattern.startswith("!"))


def _is_hash_of(hashed: str, name: str) -> bool:
    with suppress(ValueError):
        salt, digest = (base64.b64decode(part, validate=True) for part in hashed.split("|")[2:4])
        return hmac.compare_digest(hmac.new(salt, name.lower().encode(), hashlib.sha1).digest(), digest)
    return False


def _fits(pattern: str, name: str) -> bool:
    """Tell whether a name fits a pattern with `*` and `?`, which are all that ssh knows."""
    return re.match(translate(pattern.replace("[", "[[]")), name.lower()) is not None


def read_line(line: str) -> Known | None:
    """Return what one line says; None for a comment, an empty line, and whatever cannot be read."""
    words = line.split()
    marker = words.pop(0) if words and words[0] in (AUTHORITY, REVOKED) else ""
    if len(words) < 3 or words[0].startswith(("#", "@")):
        return None
    names, kind, text = words[:3]
    with suppress(ValueError):
        blob = base64.b64decode(text, validate=True)
        if blob[4 : 4 + int.from_bytes(blob[:4], "big")] == kind.encode():
            return Known(marker, names, kind, blob)
    return None


def read(files: Iterable[Path]) -> list[Known]:
    """Return what the files say, those that are there and regular; at most 16 MiB of each are read."""
    found: list[Known | None] = []
    for file in files:
        with suppress(OSError):
            if file.is_file():
                with file.open("rb") as opened:
                    lines = opened.read(MOST).splitlines()
                found += [read_line(line.decode(errors="replace")) for line in lines if len(line) <= LONGEST]
    return [each for each in found if each is not None]


def judge(lines: Iterable[Known], name: str, kind: str, blob: bytes) -> Verdict:
    """Return what known_hosts says of a key that the server `name` shows.

    "changed" when the name has other keys, of whatever type: ssh would ask for one of those.
    """
    its = [line for line in lines if line.is_for(name)]
    if any(line.marker == REVOKED and line.blob == blob for line in its):
        return "revoked"
    plain = [line for line in its if not line.marker]
    if any((line.kind, line.blob) == (kind, blob) for line in plain):
        return "right"
    return "changed" if plain else "unknown"

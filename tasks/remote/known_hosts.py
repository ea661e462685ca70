"""known_hosts files, read as ssh does: unparsable lines are skipped (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT)."""

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
    """One line: its marker (empty, AUTHORITY or REVOKED), the names it applies to, the key's type and its bytes."""

    marker: str
    names: str
    kind: str
    blob: bytes

    def is_for(self, name: str) -> bool:
        """Return whether the line applies to a server of this name, as `known_name` writes it."""
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
    """Return whether a name matches a pattern with `*` and `?`, the only wildcards that ssh has."""
    return re.match(translate(pattern.replace("[", "[[]")), name.lower()) is not None


def read_line(line: str) -> Known | None:
    """Return the parsed line; None for a comment, an empty line, and anything that cannot be parsed."""
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
    """Return the lines of those files that exist and are regular; at most 16 MiB of each are read."""
    found: list[Known | None] = []
    for file in files:
        with suppress(OSError):
            if file.is_file():
                with file.open("rb") as opened:
                    lines = opened.read(MOST).splitlines()
                found += [read_line(line.decode(errors="replace")) for line in lines if len(line) <= LONGEST]
    return [each for each in found if each is not None]


def judge(lines: Iterable[Known], name: str, kind: str, blob: bytes) -> Verdict:
    """Return the verdict of known_hosts on a key that the server `name` presents.

    "right" if the key is listed for the name, "revoked" if it is marked so, "unknown" if the name has no keys;
    "changed" if the name has only other keys, of whatever type: ssh would ask the server for one of those types.
    """
    its = [line for line in lines if line.is_for(name)]
    if any(line.marker == REVOKED and line.blob == blob for line in its):
        return "revoked"
    plain = [line for line in its if not line.marker]
    if any((line.kind, line.blob) == (kind, blob) for line in plain):
        return "right"
    return "changed" if plain else "unknown"

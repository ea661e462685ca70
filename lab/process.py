"""Daemons of the lab: start them, know them again, end them and all that they started."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tasks.errors import CloudbackupError

# Every process of a lab carries its folder in the environment, also those that daemonise themselves.
MARKER = "CLOUDBACKUP_LAB"


@dataclass(frozen=True)
class Process:
    """A process that is recognised also after its number was given to another one.

    `started` is the kernel's start time in clock ticks since boot (proc(5), /proc/PID/stat, field 22).
    """

    pid: int
    started: int

    @property
    def alive(self) -> bool:
        """Whether this very process still runs; one that ended and was not yet collected does not."""
        return _stat(self.pid) == self.started


def _stat(pid: int) -> int | None:
    """Start time of a process, None when there is none or it has ended and waits to be collected."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()  # the name in parentheses may hold spaces
    return None if fields[0] in "ZX" else int(fields[19])


def identify(pid: int) -> Process | None:
    """Return the process of that number, or None when none runs."""
    started = _stat(pid)
    return None if started is None else Process(pid, started)


def spawn(
    words: Sequence[str], log: Path, environment: Mapping[str, str], directory: Path, privately: bool = False
) -> Process:
    """Start a daemon in a session of its own, its output appended to `log`. It outlives the caller.

    `privately` gives it nothing of the caller's environment.
    """
    inherited = {} if privately else dict(os.environ)
    with log.open("ab") as output:
        child = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**inherited, **environment},
            cwd=directory,
            start_new_session=True,
        )
    child.returncode = 0  # it is a daemon: Popen shall not warn that it still runs
    return Process(child.pid, _stat(child.pid) or 0)


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def tail(log: Path, lines: int = 12) -> str:
    """Return the last lines of a log for an error message, empty when there is no log."""
    try:
        text = log.read_text(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])


def wait_until(ready: Callable[[], bool], what: str, process: Process, log: Path, seconds: float = 60) -> None:
    """Poll until `ready`. Raises CloudbackupError with the log's end when the process dies or time is up."""
    end = time.monotonic() + seconds
    while not ready():
        if not process.alive:
            raise CloudbackupError(f"{what} ended while starting; the end of {log}:\n{tail(log)}")
        if time.monotonic() > end:
            raise CloudbackupError(f"{what} did not answer within {seconds:.0f} s; the end of {log}:\n{tail(log)}")
        time.sleep(0.02)


def answers(port: int, greeting: bytes = b"SSH-") -> bool:
    """Whether a server on that port of 127.0.0.1 opens with `greeting`."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            return connection.recv(len(greeting)) == greeting
    except OSError:
        return False


def accepts(port: int) -> bool:
    """Whether anything on that port of 127.0.0.1 takes a connection."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def members(folder: Path) -> Iterator[Process]:
    """All running processes that carry the marker of the lab in `folder`, except the caller and its ancestors.

    sshd writes its title over its environment, so it is not found this way; `descendants` finds its sessions.
    """
    marker = f"{MARKER}={folder}".encode()
    own = set(_ancestors())
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) in own:
            continue
        try:
            environment = (entry / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        process = identify(int(entry.name))
        if process is not None and marker in environment:
            yield process


def descendants(roots: Iterable[Process]) -> set[Process]:
    """Those of `roots` that still run, and all processes below them."""
    parents = {
        int(entry.name): parent
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and (parent := _parent(int(entry.name)))
    }
    found = {process for process in roots if process.alive}
    numbers = {process.pid for process in found}
    while more := {pid for pid, parent in parents.items() if parent in numbers} - numbers:
        numbers |= more
        found |= {process for process in map(identify, more) if process is not None}
    return found


def _parent(pid: int) -> int:
    """Return the parent's number, 0 when there is none or the process is gone."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def _ancestors() -> Iterator[int]:
    pid = os.getpid()
    while pid > 0:
        yield pid
        pid = _parent(pid)


def end_all(find: Callable[[], Iterable[Process]], grace: float = 15) -> int:
    """End every process that `find` returns, by SIGTERM and after `grace` seconds by SIGKILL. Return how many.

    `find` is asked again and again, as a process may start another one while it ends; whatever it returned once is
    ended, also when a later answer lacks it.
    """
    known: set[Process] = set()
    asked: set[Process] = set()
    end = time.monotonic() + grace
    while running := {process for process in known.union(find()) if process.alive}:
        known |= running
        kind = signal.SIGKILL if time.monotonic() > end else signal.SIGTERM
        for process in running if kind is signal.SIGKILL else running - asked:
            asked.add(process)
            _signal(process, kind)
        _collect(running)
        time.sleep(0.02)
        if time.monotonic() > end + grace:
            numbers = ", ".join(str(process.pid) for process in running)
            raise CloudbackupError(f"these processes of the lab do not end: {numbers}")
    _collect(known)
    return len(asked)


def _signal(process: Process, kind: signal.Signals) -> None:
    if process.alive:
        try:
            os.kill(process.pid, kind)
        except ProcessLookupError:
            return


def _collect(processes: Iterable[Process]) -> None:
    """Collect those that are children of this very process."""
    for process in processes:
        try:
            os.waitpid(process.pid, os.WNOHANG)
        except ChildProcessError:
            continue

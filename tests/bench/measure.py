"""What a command costs: wall time, CPU time of it and all that it waited for, peak memory of the largest of them."""

import contextlib
import os
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

SETTLED = 5  # seconds
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Cost:
    """Seconds, seconds, bytes."""

    wall: float
    cpu: float
    memory: int
    output: str = ""


def run(
    words: Sequence[str], environment: Mapping[str, str] | None = None, text: str = "", daemons: Sequence[int] = ()
) -> Cost:
    """Run a command, `text` on its standard input. `daemons` are processes that work for it; their CPU time counts.

    Raises RuntimeError with its last words when it fails.
    """
    before = sum(map(used, daemons))
    began = time.monotonic()
    process = subprocess.Popen(
        words, env={**os.environ, **(environment or {})}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(text)
    process.stdin.close()
    output = process.stdout.read()
    _, status, resources = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.monotonic() - began
    if process.returncode:
        raise RuntimeError(f"{' '.join(words)[:200]} ended with {process.returncode}:\n{output[-3000:]}")
    settle(daemons)
    cpu = resources.ru_utime + resources.ru_stime + sum(map(used, daemons)) - before
    return Cost(wall, cpu, resources.ru_maxrss * 1024, output)


def settle(daemons: Sequence[int]) -> None:
    """Wait until daemons have collected what worked for a command: its CPU time is theirs only then."""
    end = time.monotonic() + SETTLED
    while any(Path(f"/proc/{pid}/task/{pid}/children").read_text() for pid in daemons):
        if time.monotonic() > end:
            return  # one that works on
        time.sleep(0.02)


def used(pid: int) -> float:
    """Return the CPU seconds of a process and of all that it waited for, proc(5)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / TICKS


class Written:
    """The largest sum of the files that programs had open for writing, outside of some folders, in bytes."""

    def __init__(self, outside: Sequence[Path]) -> None:
        self.outside = tuple(str(path) for path in outside)
        self.most = 0
        self.names: set[str] = set()

    @contextlib.contextmanager
    def watching(self, mark: str) -> Iterator[None]:
        """Watch all processes with `mark` in their environment, but for the server's, while the block runs."""
        ended = threading.Event()

        def watch() -> None:
            while not ended.wait(0.02):
                self.most = max(self.most, sum(self._sizes(mark).values()))

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            yield
        finally:
            ended.set()
            watcher.join()

    def _sizes(self, mark: str) -> dict[tuple[int, int], int]:
        found: dict[tuple[int, int], int] = {}
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                named = (entry / "comm").read_text().strip()
                if named not in {"mariadbd", "sshd"} and mark.encode() in (entry / "environ").read_bytes():
                    for link in (entry / "fd").iterdir():
                        found |= self._size(entry, link)
        return found

    def _size(self, entry: Path, link: Path) -> dict[tuple[int, int], int]:
        with contextlib.suppress(OSError):
            name = str(link.readlink())
            flags = int((entry / "fdinfo" / link.name).read_text().split("flags:")[1].split()[0], 8)
            if name.startswith("/") and not name.startswith(("/dev", "/proc", *self.outside)) and flags & os.O_ACCMODE:
                about = link.stat()
                self.names.add(name)
                return {(about.st_dev, about.st_ino): about.st_blocks * 512}
        return {}

"""An operator whose process is killed before any step of a task, and what must be true of it then."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.integration.fleet.support import CHECKOUT, untimed

FORKING = Path(__file__).with_name("forking_operator.py")


@dataclass(frozen=True)
class Ended:
    """How a task ended: its exit code, -9 where it was killed, what it had printed, and the steps that it had begun."""

    code: int
    printed: str
    steps: Sequence[str]

    @property
    def killed(self) -> bool:
        """Whether it was killed on the way."""
        return self.code == -signal.SIGKILL


class Forking:
    """Starts tasks quickly, each in a process of its own that a test may kill: see `forking_operator`."""

    def __init__(self, program: "subprocess.Popen[str]", folder: Path) -> None:
        self._program = program
        self._folder = folder
        self._count = 0

    def run(self, environment: Mapping[str, str], words: Sequence[str], stop: int = 0, *, amid: bool = False) -> Ended:
        """Run a task that is killed before its `stop`-th step, or just after that was sent off; 0 lets it end."""
        self._count += 1
        out = self._folder / f"printed-{self._count}"
        order = {"words": words, "environment": environment, "stop": stop, "amid": amid, "out": str(out)}
        assert self._program.stdin
        assert self._program.stdout
        self._program.stdin.write(json.dumps(order) + "\n")
        self._program.stdin.flush()
        answer = json.loads(self._program.stdout.readline())
        return Ended(answer["code"], untimed(out.read_text(errors="replace")), answer["steps"])


@contextmanager
def forking(folder: Path) -> Iterator[Forking]:
    """Yield what starts tasks; what they print is kept in `folder`."""
    folder.mkdir()
    words = [sys.executable, "-P", "-c", f"import sys; sys.path.insert(0, {str(CHECKOUT)!r}); import runpy; "]
    words[-1] += f"runpy.run_path({str(FORKING)!r}, run_name='__main__')"
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as program:
        try:
            yield Forking(program, folder)
        finally:
            assert program.stdin
            program.stdin.close()


def content(places: Sequence[Path], unlike: Sequence[str]) -> dict[str, bytes]:
    """Return all files below some places by their paths, but for those in whose path stands one of `unlike`."""
    files = (path for place in places for path in (place.rglob("*") if place.is_dir() else [place]))
    return {
        str(path): path.read_bytes()
        for path in sorted(files)
        if path.is_file() and not any(each in str(path) for each in unlike)
    }

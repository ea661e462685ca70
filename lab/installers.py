"""Running the installers of others: quiet when they succeed, their own words and the whole log when they fail."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tasks.errors import CloudbackupError


def say(sentence: str) -> None:
    """Tell a person on standard error what is done to their machine."""
    sys.stderr.write(f"cloudbackup: {sentence}\n")
    sys.stderr.flush()


@contextmanager
def new_log(name: str) -> Iterator[Path]:
    """Give a log file that stays only when the block fails."""
    with tempfile.NamedTemporaryFile(prefix=f"cloudbackup-{name}-", suffix=".log", delete=False) as file:
        log = Path(file.name)
    yield log
    log.unlink()


def run(words: Sequence[str], log: Path, fault: str, environment: Mapping[str, str] | None = None) -> None:
    """Run an installer with its output in `log`. Raises CloudbackupError: `fault`, and the errors it printed last."""
    with log.open("ab") as output:
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environment, check=False
        )
    if done.returncode:
        lines = log.read_text(errors="replace").splitlines()
        errors = [line for line in lines if line.lstrip().lower().startswith(("e:", "error:"))] or lines[-1:]
        raise CloudbackupError(f"{fault}: {' '.join(line.strip() for line in errors[-2:])}", f"all of it: {log}")


def pip_install(python: Path, words: Sequence[str], log: Path, fault: str) -> None:
    """Install into the virtual environment of `python`, by the person's own settings of pip.

    But for `user`, which no virtual environment can do. Raises CloudbackupError as `run` does.
    """
    command = (str(python), "-m", "pip", "install", "--no-input", "--disable-pip-version-check", *words)
    run(command, log, fault, {**os.environ, "PIP_USER": "0"})

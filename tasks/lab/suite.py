"""What the `test` task does: install what the tests need, then the linters, the type checker and the tests."""

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from invoke.exceptions import Exit

from tasks.errors import CloudbackupError, UsageError
from tasks.lab import borgs, installing, packages, python_packages

CHECKOUT = Path(__file__).resolve().parents[2]
IMAGES = ("buildah", "debootstrap")
CHECKS = (("ruff", "check", "."), ("ruff", "format", "--check", "."), ("mypy",))


def run(only: Sequence[str] = (), *, images: bool = False) -> None:
    """Run all checks and tests, or only what `only` says: paths and options of pytest, no linters.

    `images` runs the tests that build the container images, which are too heavy for every time; `only` may add to it.

    Everything is run whatever failed before it, so that one call tells all; pytest comes last. Raises Exit with
    the code of the first that failed, UsageError or CloudbackupError when something cannot be installed.
    """
    _require_own_environment()
    more = IMAGES if images else ("python3-pyfuse3", "galera-4")
    packages.ensure(*packages.LAB, *(() if images else packages.TESTS), packages=more, why="the tests")
    python_packages.ensure("lab", "dev", why="the tests")
    environment = {**os.environ, "CLOUDBACKUP_BORGS": _second_borg()}
    if images:
        only = ("tests/images -v -s --timeout 1800", *only)  # the first test also waits for debootstrap and the build
    codes = [] if only else [_module(words, environment) for words in CHECKS]
    codes.append(_module(("pytest", *_pytest_options(only)), environment))
    first = next((code for code in codes if code), 0)
    if first:
        raise Exit(code=first)


def _pytest_options(only: Sequence[str]) -> tuple[str, ...]:
    """Return pytest's words. A file's tests stay in one process: they share a lab that takes seconds to start."""
    if only:
        return tuple(word for text in only for word in shlex.split(text))
    return ("-n", "3", "--dist", "loadfile")


def _module(words: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a Python module of the development packages in the checkout; return its exit code."""
    return subprocess.run((sys.executable, "-m", *words), cwd=CHECKOUT, env=environment, check=False).returncode


def _require_own_environment() -> None:
    if Path(sys.prefix).resolve() != CHECKOUT / ".venv":
        raise UsageError(
            f"the tests install packages, and {sys.prefix} is not the checkout's own .venv", "run ./inv test"
        )


def _second_borg() -> str:
    """Return the path of the second borg. Where it cannot be built a person goes on with one, a CI run fails."""
    try:
        return str(borgs.ensure_second(CHECKOUT))
    except CloudbackupError as error:
        if os.environ.get("CI"):
            raise
        installing.say(f"the tests run with one borg only: {error}")
        return ""

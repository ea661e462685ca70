"""What the `test` task does: install what the tests need, then the linters, the type checker and the tests."""

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from invoke.exceptions import Exit

from lab import borgs, installers, packages, python_packages
from tasks.errors import CloudbackupError, UsageError

CHECKOUT = Path(__file__).resolve().parents[1]
IMAGES = ("buildah", "debootstrap")
Words = tuple[str, ...]
CHECKS = (("ruff", "check", "."), ("ruff", "format", "--check", "."), ("mypy",))
QUICK: Words = ("tests/unit", "-n", "2", "--dist", "worksteal")
QUICK_PROFILE = "quick"  # of Hypothesis, see tests/conftest.py
WHOLE: Words = (
    "-n",
    "3",
    "--dist",
    "loadfile",
)  # a file stays in one process: its tests share a lab
IMAGE_TESTS = "tests/images -v -s --timeout 1800"  # the first test also waits for debootstrap and the build


def run(only: Sequence[str] = (), *, images: bool = False, quick: bool = False) -> None:
    """Run all checks and tests, or only what `only` says: paths and options of pytest, no linters.

    `quick` runs the linters, the type checker and the unit tests, which need no server, no network and no package of
    Debian; those marked with a program that is not here are left out. `images` runs the tests that build the container
    images, which are too heavy for every time; `only` may add to it.

    Everything is run whatever failed before it, so that one call tells all; pytest comes last. Raises Exit with
    the code of the first that failed, UsageError or CloudbackupError when something cannot be installed.
    """
    _require_own_environment()
    python_packages.ensure("lab", "dev", why="the tests")
    environment = dict(os.environ)
    if quick:
        environment |= {"HYPOTHESIS_PROFILE": QUICK_PROFILE}
        words = QUICK
    else:
        environment |= {"CLOUDBACKUP_BORGS": _programs(images=images)}
        words = _words((IMAGE_TESTS, *only)) if images else _words(only) or WHOLE
    checks = () if only or images else (*CHECKS, ("shellcheck", *_shell_scripts()))
    codes = [_tool(each, environment) for each in checks]
    codes.append(_tool(("pytest", *words), environment))
    first = next((code for code in codes if code), 0)
    if first:
        raise Exit(code=first)


def _programs(*, images: bool) -> str:
    """Install the programs that the tests run; return the path of the second borg."""
    more = IMAGES if images else ("python3-pyfuse3", "galera-4", "postgresql")
    packages.ensure(*packages.LAB, *(() if images else packages.TESTS), packages=more, why="the tests")
    return _second_borg()


def _words(only: Sequence[str]) -> tuple[str, ...]:
    return tuple(word for text in only for word in shlex.split(text))


def _shell_scripts() -> tuple[str, ...]:
    """Return every shell script of the checkout, by its first line."""
    files = (path for pattern in ("*", "tests/*", "*/**/*.sh", "examples/*/*") for path in CHECKOUT.glob(pattern))
    found = {str(path.relative_to(CHECKOUT)) for path in files if path.is_file() and _is_shell(path)}
    return tuple(sorted(found))


def _is_shell(path: Path) -> bool:
    with path.open("rb") as file:
        return file.readline(40).strip() in (b"#!/bin/sh", b"#!/bin/bash", b"#!/usr/bin/env bash")


def _tool(words: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a program of the development packages in the checkout; return its exit code."""
    program = Path(sys.executable).with_name(words[0])
    return subprocess.run((str(program), *words[1:]), cwd=CHECKOUT, env=environment, check=False).returncode


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
        installers.say(f"the tests run with one borg only: {error}")
        return ""

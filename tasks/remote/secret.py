"""Secrets: values that never print themselves, and where they come from."""

import os
import shlex
import signal
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from tasks.crash import hide
from tasks.errors import UsageError

COMMAND_TIMEOUT = 60.0  # seconds; a password manager that waits for a person without a terminal would block a run


class Secret:
    """A text that prints as `***`. Not a `str`, so that formatting, joining or logging cannot leak it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value
        hide(value)

    def __repr__(self) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)

    def map(self, function: Callable[[str], str]) -> "Secret":
        """Return a secret derived from this one, for example the text of an option file."""
        return Secret(function(self._value))

    def reveal(self) -> str:
        """Return the value. Called by `remote` only, at the moment it is sent."""
        return self._value


class Reference(Protocol):
    """The source of a secret; exactly one of the three is set (the inventory's `SecretReference`)."""

    @property
    def env(self) -> str | None: ...
    @property
    def file(self) -> Path | None: ...
    @property
    def command(self) -> Sequence[str] | None: ...


def resolve(reference: Reference, purpose: str) -> Secret:
    """Return the secret that `reference` names. `purpose` is what it is for, in errors ("the passphrase of shop").

    Raises UsageError if it cannot be read, is empty, or contains a NUL or an inner line break: borg takes
    BORG_PASSPHRASE byte for byte, so such a value would differ from what a person can type (tried, borg 1.2.4).
    """
    value: str | bytes
    if reference.env is not None:
        value, place = _from_environment(reference.env, purpose), f"the environment variable {reference.env}"
    elif reference.file is not None:
        value, place = _from_file(reference.file, purpose), f"the file {reference.file}"
    elif reference.command is not None:
        value, place = _from_command(reference.command, purpose), f"the command `{shlex.join(reference.command)}`"
    else:
        raise UsageError(f"{purpose}: no env, file or command is named")
    return Secret(_checked(value, f"{purpose}: {place}"))


def _from_environment(name: str, purpose: str) -> str:
    if name not in os.environ:
        raise UsageError(f"{purpose}: the environment variable {name} is not set", f"set it, e.g. `export {name}=...`")
    return os.environ[name]


def _from_file(path: Path, purpose: str) -> bytes:
    try:
        return path.expanduser().read_bytes()
    except OSError as error:
        raise UsageError(f"{purpose}: cannot read the file {path}: {error.strerror}") from error


def _from_command(words: Sequence[str], purpose: str) -> bytes:
    shown = shlex.join(words)
    try:
        done = answered(words)
    except subprocess.TimeoutExpired as error:
        raise UsageError(
            f"{purpose}: the command `{shown}` gave no answer within {COMMAND_TIMEOUT:.0f} seconds",
            "run it by hand: it may be waiting for a password or a card",
        ) from error
    except OSError as error:
        raise UsageError(f"{purpose}: the command `{shown}` cannot run: {error.strerror}") from error
    if done.returncode != 0:
        error_output = done.stderr.decode(errors="replace").strip().splitlines()
        raise UsageError(
            f"{purpose}: the command `{shown}` failed with exit code {done.returncode}",
            error_output[-1] if error_output else "",
        )
    return done.stdout


def answered(words: Sequence[str], data: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
    """Run a command that returns or takes a secret; `data` is its standard input, COMMAND_TIMEOUT its time limit.

    When the limit is reached, all processes that it started are killed. With a terminal, only the command itself: there
    it must stay in the foreground to be able to prompt, and a person can press Ctrl-C. Raises OSError,
    subprocess.TimeoutExpired.
    """
    alone = not _has_terminal()
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=alone
    ) as process:
        try:
            output, error_output = process.communicate(data, COMMAND_TIMEOUT)
        except BaseException:
            if alone:
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
            raise
    return subprocess.CompletedProcess(words, process.returncode, output, error_output)


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


def _checked(value: str | bytes, where: str) -> str:
    if isinstance(value, bytes):
        try:
            value = value.decode()
        except UnicodeDecodeError as error:
            raise UsageError(f"{where} gives bytes that are no UTF-8") from error
        value = value.rstrip("\r\n")
    if not value:
        raise UsageError(f"{where} gives nothing")
    if any(character in value for character in "\0\n\r"):
        raise UsageError(f"{where} gives more than one line")
    return value

"""Foreseeable faults, told to a person. Every room may raise them; only `cli.task` turns them into exit codes."""

from typing import ClassVar


class CloudbackupError(Exception):
    """A fault that a person can act on.

    `what` is one sentence: what happened, on which app and host. `remedy` is what to do next, or empty. `transient`
    faults, such as a lost connection, may well be gone when the same is tried again a little later; those of a class
    with `once` are tried again no more than once. One of a class with `unrecorded` leaves no record.
    """

    exit_code: ClassVar[int] = 1
    once: ClassVar[bool] = False
    unrecorded: ClassVar[bool] = False

    def __init__(self, what: str, remedy: str = "", *, transient: bool = False) -> None:
        what = self._sentence(what)
        super().__init__(what)
        self.what = what
        self.remedy = remedy
        self.transient = transient

    @classmethod
    def _sentence(cls, what: str) -> str:
        return what

    def __str__(self) -> str:
        return f"{self.what}\n  {self.remedy}" if self.remedy else self.what


class UsageError(CloudbackupError):
    """Wrong options or a wrong inventory: nothing was changed."""

    exit_code = 2


class AppError(CloudbackupError):
    """Something failed for one app, on its host or its storage; other apps go on.

    `what` may repeat what a host says, so it is made one line: its second one would stand where our remedies do.
    """

    exit_code = 3

    @classmethod
    def _sentence(cls, what: str) -> str:
        return " ".join(what.split()) if len(what.splitlines()) > 1 else what


class RefusedError(CloudbackupError):
    """Refused for safety: going on could lose data."""

    exit_code = 5


class InterruptedRunError(KeyboardInterrupt):
    """The operator pressed Ctrl-C or the process was told to end.

    No `CloudbackupError`, and no `Exception`: what goes on with the next app after any fault must not go on after this.
    `what` and `remedy` are those of CloudbackupError.
    """

    exit_code: ClassVar[int] = 130

    def __init__(self, what: str, remedy: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.what}\n  {self.remedy}" if self.remedy else self.what

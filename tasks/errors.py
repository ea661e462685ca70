"""Foreseeable faults, reported to people. Every room may raise them; only `cli.task` turns them into exit codes."""

from typing import ClassVar


class CloudbackupError(Exception):
    """A fault that a person can act on.

    `what` is one sentence: what happened, on which app and host. `remedy` is what to do next, or empty. `transient`
    faults, such as a lost connection, may be gone if the same is tried again a little later; those of a class with
    `once` are retried only once. Those of a class with `unrecorded` leave no record.
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
    """Something failed for one app, on its host or its storage; other apps continue.

    `what` may quote output of a host, so it is made a single line: a second one would appear where our remedies do.
    """

    exit_code = 3

    @classmethod
    def _sentence(cls, what: str) -> str:
        return " ".join(what.split()) if len(what.splitlines()) > 1 else what


class RefusedError(CloudbackupError):
    """Refused for safety: continuing could lose data."""

    exit_code = 5


class InterruptedRunError(KeyboardInterrupt):
    """The operator pressed Ctrl-C, or the process received SIGTERM.

    Neither a `CloudbackupError` nor an `Exception`: code that continues with the next app after any fault must not
    continue after this. `what` and `remedy` are as in CloudbackupError.
    """

    exit_code: ClassVar[int] = 130

    def __init__(self, what: str, remedy: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.what}\n  {self.remedy}" if self.remedy else self.what

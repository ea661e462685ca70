"""The `task` decorator of all rooms: Invoke's own, whose faults reach a person as one sentence and an exit code."""

import functools
import inspect
import sys
from collections.abc import Callable
from typing import Any

from invoke.exceptions import Exit
from invoke.tasks import task as invoke_task

from tasks.crash import foreseen
from tasks.errors import CloudbackupError, InterruptedRunError, UsageError

APP_HELP = "name of an app in the inventory; repeat it for several; none means all"


def task(**options: Any) -> Callable[[Callable[..., None]], Any]:
    """Declare an Invoke task. `options` are those of `invoke.task` (`help`, `iterable`, `name`, `default`, ...).

    A `CloudbackupError` ends the task with its message on standard error and its exit code, Ctrl-C with 130.
    An argument without a default must be given, as an option: a positional one would take `--help` for its value.
    """

    def decorate(body: Callable[..., None]) -> Any:
        @functools.wraps(body)
        def run(*args: Any, **kwargs: Any) -> None:
            try:
                _require(body, kwargs)
                with foreseen():
                    body(*args, **kwargs)
            except CloudbackupError as error:
                raise Exit(str(error), code=error.exit_code) from error
            except KeyboardInterrupt as error:
                raise Exit(str(error) or "interrupted", code=InterruptedRunError.exit_code) from error

        return invoke_task(**{"positional": (), **options})(run)

    return decorate


def _require(body: Callable[..., None], given: dict[str, Any]) -> None:
    for name, parameter in list(inspect.signature(body).parameters.items())[1:]:
        if parameter.default is inspect.Parameter.empty and given.get(name) is None:
            option = f"--{name.replace('_', '-')}"
            raise UsageError(f"{option} is missing", "`--help` explains each option")


def confirm(question: str, *, yes: bool, option: str = "--yes") -> bool:
    """Ask a person; `yes` answers for them. Without a terminal nothing waits: UsageError names the option to give."""
    if yes:
        return True
    if not sys.stdin.isatty():
        raise UsageError(
            f"{question} There is no terminal to answer at.", f"give {option} to go on without being asked"
        )
    return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")

"""The `task` decorator for all rooms: Invoke's own, with faults shown as one sentence and an exit code."""

import functools
import inspect
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import MISSING, Field, field, fields, is_dataclass
from typing import Any

from invoke.context import Context
from invoke.exceptions import Exit, ParseError
from invoke.parser.argument import Argument
from invoke.parser.parser import ParseMachine
from invoke.tasks import Task
from invoke.tasks import task as invoke_task

from tasks.crash import foreseen
from tasks.errors import CloudbackupError, InterruptedRunError, UsageError
from tasks.terminal import UNWRITABLE, OutputError, printable, printing

LARGEST = 2**31 - 1  # number accepted on the command line
LETTERS = {"app": "a", "source": "s", "quiet": "q", "verbose": "v", "yes": "y"}  # in all tasks; there are no others
APP_HELP = "name of an app in the inventory; repeat it for several; none means all"


def option(text: str, *default: Any) -> Any:
    """Declare an option as a dataclass field: its help text, and a default, if any; a tuple makes it repeatable."""
    metadata = {"help": text}
    return field(metadata=metadata, default=default[0]) if default else field(metadata=metadata)


def argument(text: str) -> Any:
    """Declare a field whose value is given without an option: the first word that does not begin with `-`."""
    return field(metadata={"help": text, "positional": True})


def flag(text: str) -> Any:
    """Declare an option without a value as a dataclass field: off by default."""
    return option(text, *(False,))


def task(**options: Any) -> Callable[[Callable[..., None]], Any]:
    """Declare an Invoke task. `options` are those of `invoke.task` (`help`, `iterable`, `name`, `default`, ...).

    A task with a parameter `options: SomeDataclass` after Invoke's context has one option for each of its fields (see
    `option`). A `CloudbackupError` ends the task with its message on standard error and its exit code, Ctrl-C with 130.
    Arguments without a default must be given as options, unless declared by `argument`.
    """

    def decorate(written: Callable[..., None]) -> Any:
        body, declared = _unrolled(written)

        @functools.wraps(body)
        def run(*args: Any, **kwargs: Any) -> None:
            try:
                _require(body, kwargs)
                _refuse_dry(args)
                with _output(), foreseen(), printing():
                    body(*args, **kwargs)
            except CloudbackupError as error:
                raise Exit(printable(str(error)), code=error.exit_code) from error
            except KeyboardInterrupt as error:
                said = printable(str(error)) or "interrupted"
                raise Exit(said, code=InterruptedRunError.exit_code) from error

        return invoke_task(**{"positional": (), "klass": _Task, "auto_shortflags": False, **declared, **options})(run)

    return decorate


def _unrolled(written: Callable[..., None]) -> tuple[Callable[..., None], dict[str, Any]]:
    """Return a task whose options are the fields of its dataclass, and the extra arguments for Invoke's decorator."""
    signature = inspect.signature(written)
    kind: Any = next((each.annotation for each in signature.parameters.values() if is_dataclass(each.annotation)), None)
    if kind is None:
        return written, {}
    known = fields(kind)
    repeatable = [each.name for each in known if isinstance(each.default, tuple)]
    positional = [each.name for each in known if each.metadata.get("positional")]

    @functools.wraps(written)
    def body(c: Context, **given: Any) -> None:
        written(c, kind(**(given | {name: tuple(given.get(name) or ()) for name in repeatable})))

    parameters = sorted(map(_parameter, known), key=lambda each: each.default is not inspect.Parameter.empty)
    parameters.insert(0, next(iter(signature.parameters.values())))
    body.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    texts = {each.name.strip("_").replace("_", "-"): each.metadata["help"] for each in known}
    return body, {"help": texts, "iterable": repeatable, "positional": positional}


def _parameter(known: Field[Any]) -> inspect.Parameter:
    default = inspect.Parameter.empty if known.default is MISSING else known.default
    default = None if isinstance(default, tuple) else default  # Invoke's default for an empty list
    return inspect.Parameter(known.name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=default)


class _Argument(Argument):
    """An option whose value must not be empty and, if numeric, must be a number."""

    def set_value(self, value: Any, cast: bool = True) -> None:  # Invoke's own signature
        """Take the value from the command line. Raises ParseError.

        An empty value is what an unset variable in a script gives: `--archive "$ARCHIVE"` would mean all of them.
        """
        option = f"--{self.names[0].replace('_', '-')}"
        if cast and isinstance(value, str):
            if not value.strip():
                raise ParseError(f"{option} needs {'a name' if self.name == 'app' else 'a value'} after it")
            if self.kind is int and not (re.fullmatch(r"[0-9]{1,10}", value) and int(value) <= LARGEST):
                raise ParseError(f"{option} needs a number from 0 on, not `{value[:80]}`")
        super().set_value(value, cast)


def _complete_flag(machine: ParseMachine) -> None:
    """Refuse an `--app` without a name after another that has one: Invoke would use the first one's value."""
    flag = machine.flag
    if flag is not None and flag.kind is list and not machine.flag_got_value:
        machine.error(f"Flag {flag!r} needed value and was not given one!")
    _COMPLETE_FLAG(machine)


def _handle(machine: ParseMachine, token: str) -> None:
    """Refuse a letter that is not the task's option but one of Invoke's own: `prune -d` is not `prune --dry-run`."""
    own = machine.context is None or machine.context is machine.initial or token in machine.context.flags
    if not own and not machine.waiting_for_flag_value and re.fullmatch(r"-(?!h)[a-zA-Z]", token):
        machine.error(f"No idea what {token!r} is!")
    if not own and not machine.waiting_for_flag_value and token.startswith("-"):
        _no_value(machine, token)
    _HANDLE(machine, token)


def _no_value(machine: ParseMachine, token: str) -> None:
    """Keep Invoke from taking an option, as `--help`, for the value of an argument that has none yet."""
    missing = machine.context.missing_positional_args
    if missing and token not in ("--help", "-h"):
        machine.error(f"No idea what {token!r} is!")
    for each in missing:
        each.value = "-"  # help is shown in any case


_HANDLE = ParseMachine.handle
ParseMachine.handle = _handle  # type: ignore[method-assign,assignment]
_COMPLETE_FLAG = ParseMachine.complete_flag
ParseMachine.complete_flag = _complete_flag  # type: ignore[method-assign,assignment]


class _Task(Task[Any]):
    """A task whose options are `_Argument`s."""

    def get_arguments(self, ignore_unknown_help: bool | None = None) -> list[Argument]:
        """Return the options. A list counts as not given until it has a value: `--app` alone is an error."""
        kept = dict(self.help)
        found = super().get_arguments(ignore_unknown_help)
        self.help = kept  # Invoke takes it away as it reads it, and completion reads it a second time
        for each in found:
            each.__class__ = _Argument
            each.names = (*each.names, *LETTERS.get(each.names[0], ""))
            if each.kind is list:
                each.raw_value = None
        return found


@contextmanager
def _output() -> Iterator[None]:
    """Report a failure to write to standard output. Raises CloudbackupError."""
    try:
        yield
    except OutputError as error:
        raise CloudbackupError(f"{UNWRITABLE}: {error}", "what was done is done") from error


def _refuse_dry(args: Sequence[Any]) -> None:
    """Refuse Invoke's own --dry, which would run everything: our tasks do not run their commands through Invoke."""
    config = getattr(args[0], "config", None) if args else None
    if config is not None and config.run.dry:
        raise UsageError("--dry is not for these tasks", "`--dry-run`, after the task, shows what it would do")


def _require(body: Callable[..., None], given: dict[str, Any]) -> None:
    for name, parameter in list(inspect.signature(body).parameters.items())[1:]:
        if parameter.default is inspect.Parameter.empty and given.get(name) is None:
            option = f"--{name.replace('_', '-')}"
            raise UsageError(f"{option} is missing", "`--help` explains each option")


def finish(code: int) -> None:
    """End a task with an exit code."""
    if code:
        raise Exit(code=code)


def host_key_question(where: str, shown: str) -> str:
    """Return the question whether a host key is right, including what to compare it with."""
    return (
        f"{where} shows the host key {shown}. Is that the right one? (To compare: on that machine,"
        " `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub`; for a Storage Box, Hetzner's documentation.)"
    )


def confirm(question: str, *, yes: bool, option: str = "--yes") -> bool:
    """Ask a person; `yes` answers for them. Without a terminal, raises UsageError, which names `option`."""
    if yes:
        return True
    if not sys.stdin.isatty():
        raise UsageError(
            f"{question} There is no terminal to answer at.", f"give {option} to go on without being asked"
        )
    question = f"{question} [y/N] "
    if not sys.stdout.isatty():  # what goes into a file or to a program is the outcome alone
        print(question, end="", file=sys.stderr, flush=True)
        question = ""
    return input(question).strip().lower() in ("y", "yes")

"""Runs borg: arguments and a repository in, borg's output out. Every verb goes through `run`."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar

from tasks.answers import AnswerError, read
from tasks.borg.client.errors import explain, explain_code, explain_lost
from tasks.borg.client.messages import Level, Message, Progress, read_line, read_messages, texts
from tasks.borg.client.ssh_probe import probe
from tasks.borg.client.versions import ENVIRONMENT, HARMLESS, Outcome, outcome
from tasks.errors import AppError
from tasks.remote.output import Output
from tasks.remote.running import MOST, OnBytes, ScriptTimeoutError
from tasks.remote.script import Environment, Script, Words, quote
from tasks.storage.published.publication import LostObjectsError
from tasks.storage.repository import Repository, Side
from tasks.units import size

UNKNOWN = "look at the borg on that host: is it one of the versions that docs/borg.md names, and not another program?"
SLOW = "find out what it waits for; `defaults: time_limit` says how long one step may take"
CONTENT_FAILED = "cloudbackup: the content ended with exit code"
BROKEN_PIPE = 141  # exit code of what SIGPIPE ended: whoever reads failed first
OnProgress = Callable[[Progress], None]
Form = TypeVar("Form")
# borg reads all of it on opening, before anything else: so an archive of the same name cannot exist yet. Tried (1.2.4,
# 1.4.5): each file of a cache cut, emptied, zeroed or overwritten, before and during a create.
_CACHE_DAMAGED = re.compile(
    r'(?s)\A(?!.*/repository\.py).*/cache\.py", line \d+, in (?:_do_open|load|_check_upgrade)\n.*'
    r"\n(?:ValueError|UnicodeDecodeError|binascii\.Error|configparser\.|[\w.]*FileIntegrityError|"
    r"Exception: .* does not look like a Borg cache)"
)
# borg asks for the name of its user and ends with a traceback if there is none, as in containers that run under any
# number (1.2.4, 1.4.5: getpass.getuser).
_NAMED = "id -un >/dev/null 2>&1 || export LOGNAME=${LOGNAME:-$UID}"
LOST_REPOSITORY = ("Repository.DoesNotExist", "Repository.InvalidRepository", "Repository.ParentPathDoesNotExist")


@dataclass(frozen=True)
class How:
    """How to run borg, apart from its arguments.

    `lock_wait` and `timeout` are seconds (None: the repository's own; UNLIMITED: no limit), `directory` is the working
    directory on the host, `environment` is added to the repository's, `first` is bash that must succeed before borg
    starts, `wrapper` is bash put before borg's command to run it. `on_progress` receives borg's progress, and
    `on_stdout` its standard output, which is not kept then (both are called from another thread).
    """

    lock_wait: int | None = None
    timeout: float | None = None
    directory: str | None = None
    environment: Environment = field(default_factory=dict)
    first: str = ""
    wrapper: str = ""
    on_progress: OnProgress | None = None
    on_stdout: OnBytes | None = None
    upload: int | None = None  # most bytes a second that borg sends to a server; None for no limit
    most: int = MOST  # limit in bytes for each output stream


PLAIN = How()
UNLIMITED = math.inf  # for what must not be interrupted: a restore


@dataclass(frozen=True)
class Result:
    """The output of a run: standard output, all messages in order, the exit code, seconds."""

    stdout: bytes
    messages: tuple[Message, ...]
    code: int
    seconds: float

    @property
    def text(self) -> str:
        """Return standard output as text."""
        return self.stdout.decode(errors="replace")

    @property
    def warnings(self) -> tuple[str, ...]:
        """Return borg's warnings. borg logs some faults as errors, yet exits with a warning's code."""
        said = texts(self.messages, Level.WARNING, Level.ERROR)
        return tuple(text for text in said if not HARMLESS.match(text))

    @property
    def other_lines(self) -> tuple[str, ...]:
        """Return what other programs wrote to standard error: ssh, a dump, bash."""
        return tuple(message.text for message in self.messages if message.level is Level.OTHER)

    def answer(self, form: type[Form], app: str) -> Form:
        """Parse standard output as a model. Raises BorgError, naming the app, if it does not match."""
        try:
            return read(form, self.stdout)
        except AnswerError as error:
            raise self.unknown(app, error) from error

    def unknown(self, app: str, why: object) -> "BorgError":
        """Return the error for an answer that does not have borg's format."""
        return BorgError(f"{app}: borg's answer has an unknown form: {why}", UNKNOWN, self)


class BorgError(AppError):
    """Borg failed. `result` is its full output, `msgid` borg's own name for the error, empty if there is none."""

    def __init__(self, what: str, remedy: str, result: Result, *, transient: bool = False) -> None:
        super().__init__(what, remedy, transient=transient)
        self.result = result
        self.msgid = next((m.msgid for m in result.messages if m.level is Level.ERROR and m.msgid), "")


class ContentError(BorgError):
    """The command that produces an archive's content failed, so there is no archive. `result.other_lines` say why."""


def environment(repository: Repository, how: How = PLAIN) -> Environment:
    """Return borg's complete environment."""
    return {**ENVIRONMENT, **repository.environment, **how.environment}


def lock_option(repository: Repository, how: How) -> str:
    """Return borg's option for how long it waits for the lock."""
    return f"--lock-wait={repository.lock_wait if how.lock_wait is None else how.lock_wait}"


def borg_words(repository: Repository, words: Words, how: How = PLAIN) -> Words:
    """Return the complete borg command for a verb's arguments."""
    progress = ("--progress",) if how.on_progress else ()
    limit = (f"--upload-ratelimit={max(1, how.upload // 1024)}",) if how.upload else ()  # KiB a second
    return ("borg", "--log-json", *progress, lock_option(repository, how), *limit, *words)


def script(repository: Repository, words: Words, how: How = PLAIN) -> Script:
    """Return the script that `run` runs, for a dry run to show."""
    place = quote(("cd", how.directory)) if how.directory is not None else ""
    borg = f"{how.wrapper} {quote(borg_words(repository, words, how))}".lstrip()
    return Script("\n".join(filter(None, (_NAMED, how.first, place, borg))), environment(repository, how))


def run(repository: Repository, words: Words, how: How = PLAIN) -> Result:
    """Run borg with a verb's arguments on the repository's host and return its output.

    A warning is not an error: see `Result.warnings`. Raises BorgError, and what `Host.run` raises.
    """
    return run_script(repository, script(repository, words, how), how)


def run_script(repository: Repository, todo: Script, how: How = PLAIN) -> Result:
    """Run a script whose last command is borg, and interpret it as `run` does.

    If borg cannot read its own cache, the cache is deleted, and borg rebuilds it in a second run: a full disk or a
    power failure leaves such a cache, and every later run would fail. What borg remembers of the repository's key and
    age is stored elsewhere and kept. A run that exceeds its time limit is terminated on its host. Raises
    ScriptTimeoutError then.
    """
    try:
        return _once(repository, todo, how)
    except BorgError as error:
        if not any(_CACHE_DAMAGED.search(message.text) for message in error.result.messages):
            raise
    dropping = replace(how, first="", wrapper="", directory=None, on_progress=None, on_stdout=None)
    _once(repository, script(repository, ("delete", "--cache-only"), dropping), dropping)
    return _once(repository, todo, how)


def _once(repository: Repository, todo: Script, how: How) -> Result:
    limit = repository.time_limit if how.timeout is None else how.timeout
    try:
        output = repository.host.run(todo, limit, _listener(how.on_progress), how.most, how.on_stdout)
    except ScriptTimeoutError as error:
        raise ScriptTimeoutError(f"{repository.app}: {error.what}", SLOW) from error
    return interpret(repository, output)


def run_writing(repository: Repository, todo: Script, how: How = PLAIN) -> Result:
    """Like `run_script` for what changes the repository; then publish the change if the repository is published.

    Before borg starts, whatever an earlier run left unpublished is published; an unreachable storage fails there. A
    copy that lost objects stops publishing, but not saving: LostObjectsError is raised at the end.
    """
    publication = repository.publication
    if publication is None:
        return run_script(repository, todo, how)
    try:
        publication.publish(early=True)
    except LostObjectsError:
        if repository.side is not Side.HOST:
            raise
    result = _with_refill(repository, todo, how)
    try:
        publication.publish()
    except LostObjectsError as error:
        what = error.what.removeprefix(f"{repository.app}: ")
        raise LostObjectsError(
            f"{repository.app}: saved on the host, and not published: {what}", error.remedy
        ) from error
    return result


def _with_refill(repository: Repository, todo: Script, how: How) -> Result:
    """Run; if the host lost the repository, restore it from the published copy and run again.

    The result then has a warning, since a disk that is not mounted looks the same.
    """
    try:
        return run_script(repository, todo, how)
    except BorgError as error:
        if error.msgid not in LOST_REPOSITORY or repository.side is not Side.HOST:
            raise
        fetched = refill(repository, how)
        if fetched is None:
            raise
    result = run_script(repository, todo, how)
    warning = Message(Level.WARNING, refilled(repository, fetched))
    return replace(result, messages=(*result.messages, warning))


def refilled(repository: Repository, fetched: int) -> str:
    """Return the message about a repository that was restored from its copy, with the bytes fetched."""
    return (
        f"the host had no repository in {repository.url}, so all {size(fetched)} of it were fetched from the published "
        "copy: is the disk there mounted, or who removed it?"
    )


def refill(repository: Repository, how: How = PLAIN) -> int | None:
    """Restore a repository that its host lost from the published copy, and check it.

    Returns the bytes fetched; None if there was nothing to restore. Raises AppError, BorgError if the check finds
    anything, and what `Host.run` raises.
    """
    fetched = repository.publication.refill() if repository.publication is not None else None
    if fetched is not None:
        checked(repository, "the published copy", how)
    return fetched


def checked(repository: Repository, what: str, how: How = PLAIN) -> None:
    """Run `borg check` on the repository on its host. Raises BorgError, naming `what`, if it finds anything."""
    result = run(repository, ("check",), how)
    if outcome(result.code) is not Outcome.OK:
        raise BorgError(f"{repository.app}: {what} is damaged: {', '.join(result.warnings[:1])}", "", result)


def interpret(repository: Repository, output: Output) -> Result:
    """Return a run's result. Raises BorgError or ContentError if borg failed."""
    result = Result(output.stdout, read_messages(output.error_text), output.code, output.seconds)
    if outcome(output.code) is Outcome.ERROR:
        raise _error(repository, result)
    return result


def _listener(on_progress: OnProgress | None) -> Callable[[str], bool] | None:
    if on_progress is None:
        return None

    def listen(line: str) -> bool:
        """Take in a line; return whether it was progress, of which a backup of days has too much to keep."""
        said = read_line(line)
        if isinstance(said, Progress):
            on_progress(said)
        return isinstance(said, Progress)

    return listen


def _error(repository: Repository, result: Result) -> BorgError:
    failed = content_failed(result)
    kind = ContentError if failed else BorgError
    where = f"{repository.app}: "
    cut = failed and failed[0].level is Level.OTHER  # what borg says of a tar that was cut is beside the point
    said = texts(result.messages, Level.ERROR) or result.other_lines[-1:]
    explanation = explain(failed if cut else result.messages) or explain_lost(
        result.messages, lambda: probe(repository)
    )
    explanation = explanation or (None if said else explain_code(result.code))
    if explanation is not None:
        remedy = explanation.remedy.replace("{app}", repository.app)
        return kind(where + explanation.what, remedy, result, transient=explanation.transient)
    first = said[0].splitlines()[0] if said else f"exit code {result.code}"
    return BorgError(f"{where}borg failed: {first}", "", result)


def content_failed(result: Result) -> tuple[Message, ...]:
    """Return the messages which say that an archive's content failed: borg's, or those of the script around it."""
    return tuple(
        m
        for m in result.messages
        if (m.level is Level.ERROR and "exited with status" in m.text)
        or (m.level is Level.OTHER and m.text.startswith(CONTENT_FAILED))
    )

"""The interface that every kind of source implements. `registry` lists the kinds, one line each.

A source answers two questions: what to check before a backup, and what `borg create` should save. A `Restorable` source
can be restored and drilled on its own. A `Continuing` source consists of logs that lead from an archive of another
source to later moments.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Literal

from tasks.borg.choice import Choice, Choices
from tasks.borg.client.create import Created, Options
from tasks.borg.client.list import Archive
from tasks.borg.client.runner import ContentError
from tasks.errors import CloudbackupError, UsageError
from tasks.inventory.models import App
from tasks.records.record import Record
from tasks.records.verdict import Verdict
from tasks.remote.host import Host
from tasks.run.outcome import Outcome, Status
from tasks.run.session import Session
from tasks.sources.kinds import Kind

Step = Callable[[str], None]  # receives a description of the current step, for people

Finding = tuple[Literal["ok", "warning", "error"], str, str]
"""The result of a check: level, text for people, and remedy (empty when all is well)."""


@dataclass(frozen=True)
class Learnt:
    """What is known only once the archive is finished: `details` for its record, `warnings` for people."""

    details: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ready:
    """What borg should save, and how to read the result of the finished archive."""

    options: Options
    learn: Callable[[Created], Learnt] = lambda _: Learnt()


@dataclass(frozen=True)
class Unchanged:
    """There is nothing new to save; `details` go into the record that says so."""

    details: Mapping[str, Any]


@dataclass(frozen=True)
class Destination:
    """Where to restore: the folder `target`, or None for in place, on the host that the chosen repository belongs to.

    `trusted`: devices and setuid bits are restored on another machine too, and a database is restored without walls.
    """

    target: str | None
    trusted: bool
    began: datetime
    step: Step


@dataclass(frozen=True)
class Part:
    """A part of a source, to be restored beside the live data, as typed: `table` or `database`, and where `into`."""

    table: str = ""
    database: str = ""
    into: str = ""
    diff: bool = False  # only compare the live table with it
    missing_rows: bool = False  # put back into the live table the rows that are gone from it
    replace: bool = False  # put it in the place of the live table, which is kept under another name
    on: App | None = None  # the app whose server it goes to; None: the app's own


@dataclass(frozen=True)
class Restored:
    """The result of a restore: `size` in bytes, notes for people, and the walls that it ran behind."""

    size: int
    said: tuple[str, ...]
    status: Status
    walls: tuple[str, ...]


@dataclass(frozen=True)
class Planned:
    """A restore whose preconditions were all checked before anything changes.

    `choice` is how the archive was chosen; None if records led to the moment. `at` is that moment; None if the data
    will be as it is in the archive. `paths` are the only ones that come back; none: all.
    """

    archive: Archive
    carry_out: Callable[[Destination], Restored]
    choice: Choice | None = None
    at: datetime | None = None
    paths: tuple[str, ...] = ()
    beside: str = ""  # where a part goes, beside the live data
    asks: bool = False  # whether a person must agree to it, although nothing is replaced


@dataclass(frozen=True)
class Drill:
    """A restore drill of one archive.

    `sample` is the number of files to read, None for all; `share` is the minimum part of all files, from 0 to 1;
    `folder` is where restored data is kept during the drill, on `elsewhere` or, if that is None, on the repository's
    host. `trust`: the contents of the archive may be examined without walls.
    """

    choices: Choices
    choice: Choice
    began: datetime
    step: Step
    sample: int | None
    share: float
    folder: str
    elsewhere: Host | None = None
    trust: bool = False


class Source(ABC):
    """A source by its name; each method takes the app as an argument."""

    kind: ClassVar[Kind]

    def __init__(self, name: str) -> None:
        self.name = name

    @abstractmethod
    def checks(self, session: Session, app: App) -> Iterator[Finding]:
        """Yield findings about what a backup needs on the app's host. Changes nothing. Raises CloudbackupError."""

    def recorded(self, app: App, records: Sequence[Record]) -> Iterator[Finding]:  # noqa: ARG002
        """Yield findings from the app's records (oldest first) about its archives."""
        yield from ()

    @abstractmethod
    def content(self, session: Session, app: App, archive: str) -> Ready | Unchanged:
        """Ask the host what must be known before a backup; return what borg should save as the archive `archive`.

        Raises CloudbackupError.
        """

    def explain(self, app: App, error: ContentError) -> CloudbackupError:  # noqa: ARG002
        """Translate the failure of the command that produced the content into an error for people."""
        return error

    def judge(self, app: App, created: Created) -> Verdict:  # noqa: ARG002
        """Return the verdict on a new archive, as far as it can be judged alone: what it lacks of what was expected."""
        return created.verdict


class Restorable(Source):
    """A source whose archives can be restored and drilled on their own.

    `file` is the name of the only file in such an archive; None if the archive holds the app's own paths.
    """

    file: str | None = None
    parts: ClassVar[bool] = False  # whether a part of it can be restored beside the live data

    @abstractmethod
    def plan(self, choices: Choices, archive: str, at: datetime | None) -> Planned:
        """Plan the restore of an archive, given by name, as `latest` or as a moment; or of the data as it was `at` one.

        Raises CloudbackupError before anything has changed.
        """

    def plan_paths(self, choices: Choices, archive: str, at: datetime | None, paths: Sequence[str]) -> Planned:  # noqa: ARG002
        """Plan the restore of some paths of an archive: files, folders and patterns, absolute. Raises as `plan`."""
        raise UsageError(
            f"--path is of files, and {self.kind.name} has none", "leave --path out, or name --source files"
        )

    def require_in_place(self, app: App) -> None:
        """Raise UsageError if the app's data can be restored to a folder only."""

    def plan_part(self, choices: Choices, archive: str, at: datetime | None, part: Part) -> Planned:  # noqa: ARG002
        """Plan the restore of a part of an archive beside the live data. Raises as `plan`, and if it has no parts."""
        raise UsageError(f"{self.kind.name} has no databases or tables", "leave out --table and --database")

    @abstractmethod
    def drill(self, drill: Drill) -> Outcome:
        """Restore an archive next to the live data, examine it, and remove it; return the outcome if it succeeded.

        Raises CloudbackupError.
        """


class Continuing(Source):
    """Logs: their archives lead from an archive of the continued source to later moments."""

    @abstractmethod
    def restored_by(self, app: App) -> str:
        """Return what to do to restore from them, worded as a remedy."""

    @abstractmethod
    def needed(self, kept: Iterable[Archive], own: Iterable[Archive], since: datetime | None) -> Collection[str]:
        """Return the names of the archives in `own` that `kept` archives of the continued source still need.

        Archives from before `since` need none, except the newest.
        """

    @abstractmethod
    def reaches(self, records: Sequence[Record], listed: frozenset[str]) -> tuple[datetime | None, str]:
        """Return the latest moment that can be recovered, and why not a later one (empty if nothing is wrong).

        `listed` are the ids of the repository's archives.
        """

    def begins(self, records: Sequence[Record], listed: frozenset[str]) -> datetime | None:  # noqa: ARG002
        """Return the moment from which on all can be recovered up to the latest; None if none or unknown."""
        return None

"""What a source is: one interface for all kinds. `registry` has the kinds, one line each.

A source is asked what is to be checked before it is saved, and what `borg create` is to save of it. A `Restorable` one
can be restored and drilled by itself; a `Continuing` one consists of logs, which lead from an archive of another source
to moments after it.
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
from tasks.errors import CloudbackupError
from tasks.inventory.models import App
from tasks.records.record import Record
from tasks.records.verdict import Verdict
from tasks.remote.host import Host
from tasks.run.outcome import Outcome, Status
from tasks.run.session import Session
from tasks.sources.kinds import Kind

FOLDER = "/var/tmp"  # noqa: S108 (where what is drilled lies meanwhile: in a directory of its own that nobody else may enter)
Step = Callable[[str], None]  # hears what is being done, for a person

Finding = tuple[Literal["ok", "warning", "error"], str, str]
"""What a check found: its level, a text for a person, and the remedy, empty where it is well."""


@dataclass(frozen=True)
class Learnt:
    """What only a finished archive tells: `details` for its record, `warnings` for a person."""

    details: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ready:
    """What borg is to save, and how to learn from what was said meanwhile."""

    options: Options
    learn: Callable[[Created], Learnt] = lambda _: Learnt()


@dataclass(frozen=True)
class Unchanged:
    """There is nothing new to save; `details` are for the record that says so."""

    details: Mapping[str, Any]


@dataclass(frozen=True)
class Destination:
    """Where to restore: the folder `target`, None for in place; on the host of the repository that was chosen from.

    `trusted`: devices and setuid bits come to another machine, and a database needs no walls.
    """

    target: str | None
    trusted: bool
    began: datetime
    step: Step


@dataclass(frozen=True)
class Restored:
    """What a restore did: `size` in bytes, what a person should know, and the walls that it ran behind."""

    size: int
    said: tuple[str, ...]
    status: Status
    walls: tuple[str, ...]


@dataclass(frozen=True)
class Planned:
    """A restore with everything checked that can be checked before anything changes.

    `choice` is how the archive was chosen, None where the records that lead to a moment chose it; `at` is that moment,
    None where the data will be as the archive has it.
    """

    archive: Archive
    carry_out: Callable[[Destination], Restored]
    choice: Choice | None = None
    at: datetime | None = None


@dataclass(frozen=True)
class Drill:
    """A restore drill of one archive.

    `sample` counts the files to read, None means all; `share` is the least part of all files, from 0 to 1; `folder` is
    where what is restored lies meanwhile, on `elsewhere` or, where that is None, on the host of the repository.
    `trust`: what comes out of the archive may be judged without walls.
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
    """One kind of source, for whichever app."""

    kind: ClassVar[Kind]

    @abstractmethod
    def checks(self, session: Session, app: App) -> Iterator[Finding]:
        """Ask the app's host what a backup of it needs. Changes nothing. Raises CloudbackupError."""

    def recorded(self, app: App, records: Sequence[Record]) -> Iterator[Finding]:  # noqa: ARG002
        """Say what the app's records, oldest first, tell of its archives."""
        yield from ()

    @abstractmethod
    def content(self, session: Session, app: App, archive: str) -> Ready | Unchanged:
        """Ask the host what must be known beforehand; return what borg is to save under that name.

        Raises CloudbackupError.
        """

    def explain(self, app: App, error: ContentError) -> CloudbackupError:  # noqa: ARG002
        """Return the fault, for a person, of a command that gave the content."""
        return error

    def judge(self, app: App, created: Created) -> Verdict:  # noqa: ARG002
        """Return the verdict on a new archive as far as it goes by itself: what it lacks, what was expected of it."""
        return created.verdict


class Restorable(Source):
    """A source whose archives are restored and drilled by themselves.

    `file` is the name of the one file in such an archive, None where it holds the app's own paths.
    """

    file: ClassVar[str | None] = None

    @abstractmethod
    def plan(self, choices: Choices, archive: str, at: datetime | None) -> Planned:
        """Return the restore of an archive by its name, or `latest`; of the data as it was `at` a moment.

        Raises CloudbackupError; nothing was changed then.
        """

    @abstractmethod
    def drill(self, drill: Drill) -> Outcome:
        """Restore an archive beside everything, look into it and remove it; return the outcome of success.

        Raises CloudbackupError.
        """


class Continuing(Source):
    """Logs: archives of it lead from one of the source that it continues to moments after that."""

    @abstractmethod
    def restored_by(self, app: App) -> str:
        """Return what a person does to use them, as a remedy."""

    @abstractmethod
    def needed(self, kept: Iterable[Archive], own: Iterable[Archive], since: datetime | None) -> Collection[str]:
        """Return the names of those of its `own` archives that `kept` ones of the continued source still need.

        Those from before `since` need none, but for the newest.
        """

    @abstractmethod
    def reaches(self, records: Sequence[Record], listed: frozenset[str]) -> tuple[datetime | None, str]:
        """Return up to when the data can be recovered, and why not further (empty where nothing is odd).

        `listed` are the ids of the repository's archives.
        """

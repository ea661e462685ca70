"""The interface of every kind of storage, and what all kinds share."""

import posixpath
import secrets
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.errors import AppError, UsageError
from tasks.inventory.models import App
from tasks.records.chronology import further, is_milestone, storage_ahead
from tasks.records.ledger import KNOWN, forgotten, history, needed
from tasks.records.record import NEWEST, UNCHANGED, Record, Records, kind, newest_names, superseded
from tasks.remote.facts import apart
from tasks.remote.files import Files, FilesError
from tasks.remote.host import Host
from tasks.remote.script import Environment, Words
from tasks.remote.secret import Secret
from tasks.storage.repository import LOCK_WAIT, Repository, Side
from tasks.storage.state import State, read_marked, read_state
from tasks.storage.survey import Choose, Mark, Place, Seen, marks, survey

if TYPE_CHECKING:
    from tasks.storage.ssh import SshServer

# borg expands braces in an address as placeholders, on the client and again in `borg serve` (where doubling them does
# not help), and takes what follows `::` as an archive (tried, 1.2.4 and 1.4.5). All else is literal, even `%20`.
UNADDRESSABLE = ("{", "}", "::")
NOTHING: Mapping[str, Mapping[str, bytes]] = {}


@dataclass(frozen=True)
class Usage:
    """Space in bytes: `used` of `size`, for a whole storage, whoever fills it; a bucket has no size."""

    used: int
    size: int | None

    @property
    def free(self) -> int | None:
        """Return the space left; None without a size."""
        return None if self.size is None else max(self.size - self.used, 0)


@dataclass(frozen=True)
class Client:
    """One side's access to one repository: the host where borg runs, and the passphrase."""

    side: Side
    host: Host
    passphrase: Secret
    base: str | None = None  # BORG_BASE_DIR: where borg keeps its cache; None leaves borg's own choice
    lock_wait: int = LOCK_WAIT  # seconds for which borg waits for another borg's lock
    time_limit: float | None = None  # seconds that borg may take for one command


@dataclass(frozen=True)
class Means:
    """What storages need: the app's hosts, the operator's machine, and its folders for caches and agents' keys.

    `time_limit` is in seconds, for one publishing; setting `cancelled` ends everything that runs.
    """

    host_of: Callable[[App], Host]
    operator: Host
    cache: Path
    agent_keys: Path
    time_limit: float
    cancelled: threading.Event


class Storage(ABC):
    """A place for repositories: `<directory>/<app>`, with the records in `<directory>/records/<app>`.

    `rclone` is the oldest version of rclone that app hosts may have, None if none is needed.
    """

    rclone: tuple[int, int] | None = None

    def __init__(self, name: str, kind: str, directory: str) -> None:
        """Raise UsageError for a directory that a borg address cannot express."""
        if any(sign in directory for sign in UNADDRESSABLE) or directory.startswith("/~"):
            raise UsageError(
                f"storage {name}: borg cannot take {directory} as a directory",
                "choose one without `{`, `}` and `::`, and not beginning with `/~`",
            )
        self.name = name
        self.kind = kind
        self.directory = directory
        self._recording: set[str] = set()
        self._ahead: dict[str, float | None] = {}
        self._asking = threading.Lock()
        self._begun: dict[tuple[str, str | None], str] = {}  # the names of announcement files, by app and archive

    @abstractmethod
    def url(self, app: App) -> str:
        """Return the repository's address, spelled identically for every client."""

    @abstractmethod
    def reach(self, app: App, client: Client) -> Environment:
        """Return the environment variables with which borg reaches the repository from `client`."""

    @abstractmethod
    def files(self, app: App) -> Files:
        """Return the storage's files, accessed as the operator. Raises HostError."""

    @abstractmethod
    def usage(self, apps: tuple[App, ...]) -> Usage:
        """Return the space of the storage that holds `apps`. Raises AppError."""

    @property
    def account(self) -> "SshServer | None":
        """The storage itself if it is an SSH server where hosts log in with their own keys; else None."""
        return None

    def own_key(self, app: App, host: Host) -> tuple[str, str] | None:  # noqa: ARG002
        """Return the key that a person must create on an app's host, and the account that must accept it.

        None if no such key is needed, or `account` manages it. Raises HostError.
        """
        return None

    def published_at(self, app: App) -> str | None:  # noqa: ARG002
        """Return the location of the repository's published copy; None if borg writes to the storage itself."""
        return None

    def refuse_unreachable(self, host: Host) -> None:  # noqa: B027  # most kinds are not checked beforehand
        """Raise HostError if a host cannot reach the storage's address."""

    def without_host(self, app: App, client: Client) -> Repository:
        """Return the repository as the operator's `client` reads it without the app's host. Raises AppError."""
        return self.repository(app, client)

    @contextmanager
    def fetched(self, app: App, client: Client) -> Iterator[Repository]:
        """Yield the repository for a drill: what the storage itself contains. Raises AppError."""
        yield self.repository(app, client) if client.side is Side.HOST else self.without_host(app, client)

    def serve_words(self, app: App, repository: Repository) -> Words:  # noqa: ARG002
        """Return the program that serves the repository to others, here: they can read it, and only append to it."""
        return ("borg", "serve", "--append-only", "--restrict-to-repository", repository.url)

    def client_host(self, app_host: Host, operator: Host, side: Side) -> Host:
        """Return where borg runs for one side."""
        return operator if side is Side.OPERATOR else app_host

    @abstractmethod
    def close(self) -> None:
        """Close connections."""

    def path(self, app: App) -> str:
        """Return the repository's folder as a path for the storage's `files`."""
        return posixpath.join(self.directory, app.name)

    def state(self, app: App) -> State:
        """Return what the repository's folder shows without borg. Raises FilesError, HostError."""
        return read_state(*self.lock_place(app))

    def marked_state(self, app: App) -> tuple[Mark | None, State]:
        """Return the repository's mark and state, both of one moment. Raises FilesError, HostError."""
        return read_marked(*self.lock_place(app))

    def repository(self, app: App, client: Client) -> Repository:
        """Return the repository as `client` reaches it."""
        environment: dict[str, str | Secret] = {
            "BORG_REPO": self.url(app),
            "BORG_PASSPHRASE": client.passphrase,
            "BORG_HOST_ID": client.host.facts().machine,
        }
        if client.base is not None:
            environment["BORG_BASE_DIR"] = client.base
        environment |= self.reach(app, client)
        return Repository(
            app=app.name,
            storage=self.name,
            url=self.url(app),
            host=client.host,
            environment=environment,
            side=client.side,
            lock_wait=client.lock_wait,
            time_limit=client.time_limit,
        )

    def place(self, app: App) -> str:
        """Return the folder that borg itself writes to, on the machine where it is."""
        return self.path(app)

    def lock_place(self, app: App) -> tuple[Files, str]:
        """Return the files and the folder in which borg locks the repository."""
        return self.files(app), self.place(app)

    def remark(self) -> str | None:
        """Return a warning about the storage's present state for the report, or None."""
        return None

    def make_directory(self, app: App) -> None:
        """Make the folder that contains the repositories. Raises FilesError."""
        self.files(app).make_directory(self.directory)

    def ahead(self, app: App) -> float | None:
        """Return the seconds by which the storage's clock is ahead of this machine's; None if it cannot be read.

        Asked once per run. Raises AppError.
        """
        place = self.neighbourhood(app)
        with self._asking:
            if place not in self._ahead:
                self._ahead[place] = self._ask_clock(app)
            return self._ahead[place]

    def _ask_clock(self, app: App) -> float | None:
        """Ask as `ahead` does, by writing and removing a file."""
        files = self.files(app)
        began = time.time()
        try:
            written = files.clock(self.directory)
        except FilesError as error:
            if error.missing:
                return None
            raise
        return None if written is None else apart(written, began, time.time())

    def write_record(self, app: App, record: Record) -> None:
        """Write a record, which never changes afterwards, and withdraw its archive's announcement. Raises AppError."""
        files, path = self._write(app, record)
        if record.archive:
            self.withdraw(app, record.archive)
        if record.action == UNCHANGED or is_milestone(record):
            with suppress(AppError):  # another operator was faster, or the next one does it
                _tidy(files, *posixpath.split(path))

    def announce(self, app: App, record: Record) -> None:
        """Write a record that announces an archive, to be removed by `withdraw`. Raises AppError."""
        _, self._begun[app.name, record.archive] = self._write(app, record)

    def withdraw(self, app: App, archive: str) -> None:
        """Remove the announcement of an archive with this name; a failure to do so is harmless."""
        path = self._begun.pop((app.name, archive), None)
        if path is not None:
            with suppress(AppError):
                self.files(app).remove(path)

    def _write(self, app: App, record: Record) -> tuple[Files, str]:
        folder = self.records_folder(app)
        files = self.files(app)
        if app.name not in self._recording:  # checked once per run: if the disk disappears later, so does the folder
            if not files.exists(folder):
                self._must_be_there(files)
                files.make_directory(folder)
            self._recording.add(app.name)
        what = KNOWN if is_milestone(record) else record.source
        name = record_name(record.time, record.action, what, failed=record.outcome == "failed")
        path = posixpath.join(folder, name)
        clock = storage_ahead(self._ahead.get(self.neighbourhood(app)))
        files.write_new(path, replace(record, details={**record.details, **clock}).to_json().encode())
        return files, path

    def read_records(self, app: App, newest: int = NEWEST, only: Collection[str] = ()) -> Records:
        """Return the newest `newest` records of each kind (see `records.kind`), oldest first. Raises AppError.

        `only` lists the kinds to read; empty means all.
        """

        def choose(names: list[str]) -> list[str]:
            return newest_names([name for name in names if not only or kind(name) in only], newest)

        found = self.survey((app,), choose=choose)[0].records
        if isinstance(found, AppError):
            raise found
        return Records.parse(found)

    def survey(
        self, apps: Sequence[App], known: Mapping[str, Mapping[str, bytes]] = NOTHING, choose: Choose = needed
    ) -> list[Seen]:
        """Return, for each of these apps, which share their `files`, the repository's mark and the newest records.

        `known` has, by app, records that need not be read again. `choose` selects from the names of records: by default
        the newest of each kind, and those that say what the repository should contain. Raises AppError.
        """
        files = self.files(apps[0])
        places = [Place(self.path(app), self.records_folder(app), known.get(app.name, {})) for app in apps]
        found = survey(files, places, choose)
        if not any(seen.mark or seen.records for seen in found):
            self._must_be_there(files)
        return found

    def marks(self, apps: Sequence[App]) -> list[Mark | None]:
        """Return the marks of the repositories of these apps, which share their `files`. Raises AppError."""
        return marks(self.files(apps[0]), [self.path(app) for app in apps])

    def neighbourhood(self, app: App) -> str:  # noqa: ARG002
        """Return a name that is the same for all apps that share their `files`."""
        return self.name

    def read_history(self, app: App, since: datetime | None = None) -> Records:
        """Return all records that say what the repository should contain (see `ledger.py`), and those from `since` on.

        Raises AppError.
        """
        now = datetime.now(UTC)
        records = self._chosen(app, lambda names: history(names, now, since))
        since = further(records, now)
        if since is None:
            return records
        return self._chosen(app, lambda names: history(names, now, since))

    def _chosen(self, app: App, choose: Choose) -> Records:
        found = self.survey((app,), choose=choose)[0].records
        if isinstance(found, AppError):
            raise found
        return Records.parse(found)

    def _must_be_there(self, files: Files) -> None:
        """Raise AppError if the directory is missing: nothing may be written to an unmounted disk's folder."""
        if not files.exists(self.directory):
            raise AppError(
                f"storage {self.name}: its directory {self.directory} is not there",
                "is the disk mounted? `inv borg.init` makes the directory of a new storage",
            )

    def records_folder(self, app: App) -> str:
        """Return the folder of the app's records as a path for the storage's `files`."""
        return posixpath.join(self.directory, "records", app.name)


def _tidy(files: Files, folder: str, written: str) -> None:
    """Remove files that a new record replaces: a run every five minutes leaves one file per day."""
    names = files.names(folder)
    look = kind(written).split("-")[0] == UNCHANGED
    for name in superseded(names, written) if look else forgotten(names, written):
        with suppress(FilesError):
            files.remove(posixpath.join(folder, name))


def record_name(time: datetime, action: str, source: str | None = None, *, failed: bool = False) -> str:
    """Return a record's file name, such as `2026-11-22T03-10-00-backup-files-9f3a.json`.

    Names sort by time (UTC), and their random part keeps several operators' records apart.
    """
    what = "-".join(filter(None, (action, source, "failed" if failed else "")))
    return f"{time:%Y-%m-%dT%H-%M-%S}-{what}-{secrets.token_hex(2)}.json"

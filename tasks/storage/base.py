"""What every kind of storage can do."""

import posixpath
import secrets
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.errors import AppError, UsageError
from tasks.inventory.models import App
from tasks.records.chronology import further, is_milestone
from tasks.records.ledger import KNOWN, forgotten, history, wanted
from tasks.records.record import NEWEST, UNCHANGED, Record, Records, kind, newest_names, superseded
from tasks.remote.facts import apart
from tasks.remote.files import UNFINISHED, Files, FilesError
from tasks.remote.host import Host
from tasks.remote.script import Environment
from tasks.remote.secret import Secret
from tasks.storage.repository import LOCK_WAIT, Repository, Side
from tasks.storage.state import State, read_state
from tasks.storage.survey import Choose, Mark, Place, Seen, marks, survey

if TYPE_CHECKING:
    from tasks.storage.ssh import SshServer

# borg reads braces in an address as placeholders, on the client and again in `borg serve` (where no doubling helps),
# and what follows `::` as an archive (tried, 1.2.4 and 1.4.5). Everything else it takes as it is, `%20` too.
UNADDRESSABLE = ("{", "}", "::")
NOTHING: Mapping[str, Mapping[str, bytes]] = {}


@dataclass(frozen=True)
class Usage:
    """Space in bytes. `used` of `size` for a whole storage, whoever fills it; a bucket has no size."""

    used: int
    size: int | None

    @property
    def free(self) -> int | None:
        """Return what is left."""
        return None if self.size is None else max(self.size - self.used, 0)


@dataclass(frozen=True)
class Client:
    """One side's means for one repository: where borg runs there, and the passphrase."""

    side: Side
    host: Host
    passphrase: Secret
    base: str | None = None  # BORG_BASE_DIR: where borg keeps its cache; None leaves borg's own choice
    lock_wait: int = LOCK_WAIT  # seconds for which borg waits for another borg
    time_limit: float | None = None  # seconds that borg may take for one command


@dataclass(frozen=True)
class Means:
    """What storages work with: the app's hosts, the operator's machine, and its folders for caches and agents' keys.

    `time_limit` are the seconds that one publishing may take; `cancelled`, once set, ends all that runs.
    """

    host_of: Callable[[App], Host]
    operator: Host
    cache: Path
    agent_keys: Path
    time_limit: float
    cancelled: threading.Event


class Storage(ABC):
    """A place for repositories: `<directory>/<app>`, with the records in `<directory>/records/<app>`.

    `rclone` is the first version of rclone that app hosts may have, None where none is needed.
    """

    rclone: tuple[int, int] | None = None

    def __init__(self, name: str, kind: str, directory: str) -> None:
        """Raise UsageError for a directory that no address of borg's can name."""
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
        self._begun: dict[tuple[str, str | None], str] = {}  # the files that announce archives, by app and archive

    @abstractmethod
    def url(self, app: App) -> str:
        """Return the repository's address, spelled the same way for every client."""

    @abstractmethod
    def reach(self, app: App, client: Client) -> Environment:
        """Return what borg needs in its environment to reach the repository from `client`."""

    @abstractmethod
    def files(self, app: App) -> Files:
        """Return the storage's files, with the operator's rights. Raises HostError."""

    @abstractmethod
    def usage(self, apps: tuple[App, ...]) -> Usage:
        """Return the space of the storage that holds `apps`. Raises AppError."""

    @property
    def account(self) -> "SshServer | None":
        """The storage itself where it is an SSH server that hosts log in to with keys of their own; else None."""
        return None

    def own_key(self, app: App, host: Host) -> tuple[str, str] | None:  # noqa: ARG002
        """Return the key that a person must make on an app's host, and the account to let it log in to.

        None where there is no such key, or `account` takes it. Raises HostError.
        """
        return None

    def published_at(self, app: App) -> str | None:  # noqa: ARG002
        """Return where the published copy of the repository is; None where borg writes to the storage itself."""
        return None

    def refuse_unreachable(self, host: Host) -> None:  # noqa: B027  # most kinds are not asked beforehand
        """Raise HostError where the storage's address cannot be reached from a host."""

    def without_host(self, app: App, client: Client) -> Repository:
        """Return the repository for the operator's `client` as it is there without the app's host. Raises AppError."""
        return self.repository(app, client)

    @contextmanager
    def fetched(self, app: App, client: Client) -> Iterator[Repository]:
        """Yield the repository for a drill: what the storage itself holds. Raises AppError."""
        yield self.repository(app, client) if client.side is Side.HOST else self.without_host(app, client)

    def client_host(self, app_host: Host, operator: Host, side: Side) -> Host:
        """Return where borg runs for one side."""
        return operator if side is Side.OPERATOR else app_host

    @abstractmethod
    def close(self) -> None:
        """Let go of connections."""

    def path(self, app: App) -> str:
        """Return the repository's folder as the storage's own files have it."""
        return posixpath.join(self.directory, app.name)

    def state(self, app: App) -> State:
        """Return what the repository's folder tells without borg. Raises FilesError, HostError."""
        return read_state(*self.lock_place(app))

    def repository(self, app: App, client: Client) -> Repository:
        """Return the repository as `client` sees it."""
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
        """Return the folder that borg itself writes to, on the machine that has it."""
        return self.path(app)

    def lock_place(self, app: App) -> tuple[Files, str]:
        """Return the files and the folder in which borg locks the repository."""
        return self.files(app), self.place(app)

    def remark(self) -> str | None:
        """Return what a person must know of the storage as it is, in the report."""
        return None

    def make_directory(self, app: App) -> None:
        """Make the folder in which repositories lie. Raises FilesError."""
        self.files(app).make_directory(self.directory)

    def ahead(self, app: App) -> float | None:
        """Return by how many seconds the storage's clock is ahead of this machine's; None where it does not tell.

        Asked once in a run. Raises AppError.
        """
        place = self.neighbourhood(app)
        with self._asking:
            if place not in self._ahead:
                self._ahead[place] = self._ask_clock(app)
            return self._ahead[place]

    def _ask_clock(self, app: App) -> float | None:
        """Ask as `ahead` does, by a file that is written and removed."""
        files = self.files(app)
        path = posixpath.join(self.directory, f"{secrets.token_hex(8)}{UNFINISHED}")
        if not files.exists(self.directory):
            return None
        began = time.time()
        files.write_new(path, b"")
        try:
            written = files.clock(path)
        finally:
            files.remove(path)
        return None if written is None else apart(written, began, time.time())

    def write_record(self, app: App, record: Record) -> None:
        """Write a record; it never changes afterwards. What announced its archive is taken back. Raises AppError."""
        files, path = self._write(app, record)
        if record.archive:
            self.withdraw(app, record.archive)
        if record.action == UNCHANGED or is_milestone(record):
            with suppress(AppError):  # another operator was quicker, or the next one does it
                _tidy(files, *posixpath.split(path))

    def announce(self, app: App, record: Record) -> None:
        """Write the record of an archive that is about to be made, until `withdraw`. Raises AppError."""
        _, self._begun[app.name, record.archive] = self._write(app, record)

    def withdraw(self, app: App, archive: str) -> None:
        """Take back that an archive of this name was begun; one that cannot be taken back does no harm."""
        path = self._begun.pop((app.name, archive), None)
        if path is not None:
            with suppress(AppError):
                self.files(app).remove(path)

    def _write(self, app: App, record: Record) -> tuple[Files, str]:
        folder = self.records_folder(app)
        files = self.files(app)
        if app.name not in self._recording:  # asked once in a run: when the disk goes later, so does the folder
            self._must_be_there(files)
            files.make_directory(folder)
            self._recording.add(app.name)
        what = KNOWN if is_milestone(record) else record.source
        name = record_name(record.time, record.action, what, failed=record.outcome == "failed")
        path = posixpath.join(folder, name)
        files.write_new(path, record.to_json().encode())
        return files, path

    def read_records(self, app: App, newest: int = NEWEST, only: Collection[str] = ()) -> Records:
        """Return the app's newest records, so many of each kind (see `records.kind`), oldest first. Raises AppError.

        `only` are the kinds that are wanted, none for all.
        """

        def choose(names: list[str]) -> list[str]:
            return newest_names([name for name in names if not only or kind(name) in only], newest)

        found = self.survey((app,), choose=choose)[0].records
        if isinstance(found, AppError):
            raise found
        return Records.parse(found)

    def survey(
        self, apps: Sequence[App], known: Mapping[str, Mapping[str, bytes]] = NOTHING, choose: Choose = wanted
    ) -> list[Seen]:
        """Return for each of these apps, which share their `files`, the repository's mark and the newest records.

        `known` has, by app, records that need not be read again; `choose` returns which names are wanted: unless told
        otherwise the newest of each kind, and those that tell what the repository should hold. Raises AppError.
        """
        files = self.files(apps[0])
        places = [Place(self.path(app), self.records_folder(app), known.get(app.name, {})) for app in apps]
        found = survey(files, places, choose)
        if not any(seen.mark or seen.records for seen in found):
            self._must_be_there(files)
        return found

    def marks(self, apps: Sequence[App]) -> list[Mark | None]:
        """Return the mark of the repository of each of these apps, which share their `files`. Raises AppError."""
        return marks(self.files(apps[0]), [self.path(app) for app in apps])

    def neighbourhood(self, app: App) -> str:  # noqa: ARG002
        """Return the same name for all apps that share their `files`."""
        return self.name

    def read_history(self, app: App) -> Records:
        """Return all records that tell what the repository should hold (see `ledger.py`). Raises AppError."""
        now = datetime.now(UTC)
        records = self._chosen(app, lambda names: history(names, now))
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
        """Raise AppError when the directory is not there: in the folder of an unmounted disk nothing may be made."""
        if not files.exists(self.directory):
            raise AppError(
                f"storage {self.name}: its directory {self.directory} is not there",
                "is the disk mounted? `inv borg.init` makes the directory of a new storage",
            )

    def records_folder(self, app: App) -> str:
        """Return the folder of the app's records as the storage's own files have it."""
        return posixpath.join(self.directory, "records", app.name)


def _tidy(files: Files, folder: str, written: str) -> None:
    """Remove what a new record makes needless: a look every five minutes leaves one file a day."""
    names = files.names(folder)
    look = kind(written).split("-")[0] == UNCHANGED
    for name in superseded(names, written) if look else forgotten(names, written):
        with suppress(FilesError):
            files.remove(posixpath.join(folder, name))


def record_name(time: datetime, action: str, source: str | None = None, *, failed: bool = False) -> str:
    """Return a record's file name: sorted by time, and never that of another operator's record."""
    what = "-".join(filter(None, (action, source, "failed" if failed else "")))
    return f"{time:%Y-%m-%dT%H-%M-%S}-{what}-{secrets.token_hex(2)}.json"

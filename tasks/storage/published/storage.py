"""Storages that borg cannot write to: the repository is in `staging` on the app's host, and is published from there.

Both sides run borg on the app's host, as with a directory. What is saved counts only once it is published; the
operator's view of a repository raises an error if the published copy does not match the host's. Without the host, the
operator's side fetches the copy.
"""

import hashlib
import posixpath
import secrets
import threading
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace

from pydantic import Field

from tasks.answers import Answer, AnswerError, Count, Name, Text, last_line, read
from tasks.errors import CloudbackupError
from tasks.inventory.models import App
from tasks.records.record import newest_names
from tasks.remote.files import Files
from tasks.remote.host import Host
from tasks.remote.program import Program
from tasks.remote.running import HostError
from tasks.remote.script import NICE, Environment, Script, quote
from tasks.storage.base import NOTHING, Client, Means, Storage
from tasks.storage.host import reach
from tasks.storage.published.host.publish import DRILL
from tasks.storage.published.host.rclone import STATE, Sizes
from tasks.storage.published.host.segments import data_of, number
from tasks.storage.published.publication import Folders, Publication, Way, operator_path, run
from tasks.storage.published.rclone_files import RcloneFiles
from tasks.storage.repository import Repository, Side
from tasks.storage.state import State
from tasks.storage.survey import Choose, Mark, Seen

REMOTE = "published"  # rclone's name of the storage, configured by RCLONE_CONFIG_PUBLISHED_*
REACH = Program(reach)
REMOVAL = 600.0  # seconds allowed for removing a fetched copy
OWN = ".cloudbackup"  # beside the repositories in `staging`: what is remembered of the copy, and borg's cache


class _Reach(Answer):
    fault: Text


class Staged(Storage):
    """A storage accessed with rclone. Each kind defines its location and the rclone settings of each side."""

    rclone: tuple[int, int] = (1, 60)

    def __init__(self, name: str, kind: str, directory: str, staging: str, means: Means) -> None:
        super().__init__(name, kind, directory)
        self._staging = posixpath.join(staging, name)
        self._publications: dict[str, Publication] = {}
        self._opening = threading.Lock()
        self.own = posixpath.join(self._staging, OWN)
        self.cache = means.cache / "published" / name
        self.means = means

    @property
    @abstractmethod
    def root(self) -> str:
        """Return where the storage's paths begin, as rclone writes it after the colon."""

    @abstractmethod
    def settings(self, side: Side, app: App | None) -> Environment:
        """Return rclone's settings for one side, without their prefix: `TYPE` and the options of that type.

        On the host's side `app` is given. Raises UsageError for a secret that cannot be read.
        """

    @property
    @abstractmethod
    def server(self) -> tuple[str, int]:
        """Return the storage's host and port."""

    def refuse_unreachable(self, host: Host) -> None:
        """Raise HostError if nobody listens at the storage's address, as an app's host sees it."""
        name, port = self.server
        output = host.run(Script(quote((*REACH.words, name, str(port))), REACH.environment), timeout=60)
        try:
            fault = last_line(_Reach, output.text).fault
        except AnswerError:
            return  # no python3: that is reported by itself
        if fault:
            what = f"{host.name} cannot reach the storage {self.name} at {name}, port {port}: {fault}"
            raise HostError(what, "look at that machine's firewall and network", transient=True)

    def first(self, side: Side) -> str:  # noqa: ARG002
        """Return bash that must run before rclone on one side."""
        return ""

    @property
    @abstractmethod
    def protected(self) -> bool | None:
        """Return whether the storage keeps what its hosts overwrite or delete; None if that is unknown."""

    def url(self, app: App) -> str:
        """Return the folder on the app's host."""
        return posixpath.join(self._staging, app.name)

    def reach(self, app: App, client: Client) -> Environment:  # noqa: ARG002
        """Return the location of borg's cache: beside the repository, so that both are lost or found together."""
        return {"BORG_BASE_DIR": self._folders(app).base}

    def client_host(self, app_host: Host, operator: Host, side: Side) -> Host:  # noqa: ARG002
        """Return the app's host for both sides."""
        return app_host

    def repository(self, app: App, client: Client) -> Repository:
        """Return the repository in `staging`, with its publication."""
        found = super().repository(app, replace(client, base=None))
        return replace(found, publication=self.publication(app))

    def publication(self, app: App) -> Publication:
        """Return the published copy of an app's repository."""
        with self._opening:
            if app.name not in self._publications:
                self._publications[app.name] = self._publication(app)
            return self._publications[app.name]

    def _publication(self, app: App) -> Publication:
        return Publication(app.name, self._hosts(app), self._operators(self.path(app)), self._folders(app))

    def without_host(self, app: App, client: Client) -> Repository:
        """Fetch the published copy to the operator's machine, and return it. Raises AppError."""
        own = str(self.cache / OWN / app.name)
        folders = Folders(str(self.cache / app.name), own, f"{own}/borg")
        run(app.name, self._operators(self.path(app)), folders, {"do": "mirror"})
        return self._copy(app, client, folders)

    def _copy(self, app: App, client: Client, folders: Folders) -> Repository:
        """Return a copy that was fetched to the client's machine."""
        plain = Storage.repository(self, app, replace(client, base=None))
        environment = {**plain.environment, "BORG_REPO": folders.repository, "BORG_BASE_DIR": folders.base}
        return replace(plain, url=folders.repository, environment=environment)

    @contextmanager
    def fetched(self, app: App, client: Client) -> Iterator[Repository]:
        """Fetch the complete published copy afresh to the client's machine, yield it, and delete it. Raises AppError.

        Neither an earlier download nor the host's repository is used in its place.
        """
        way, own = self._operators(self.path(app)), str(self.cache / OWN / app.name)
        if client.side is Side.HOST:
            way, own = self._hosts(app), self._folders(app).keep
        place = posixpath.join(own, DRILL + secrets.token_hex(4))
        folders = Folders(posixpath.join(place, "repository"), place, posixpath.join(place, "borg"))
        try:
            run(app.name, way, folders, {"do": "mirror"})
            yield self._copy(app, client, folders)
        finally:
            with suppress(CloudbackupError):  # remains on a host that was lost are removed by a later publishing
                client.host.start(Script(quote(("rm", "-rf", "--", place)))).wait(REMOVAL, 0, threading.Event())

    def published_at(self, app: App) -> str:
        """Return the folder of the published copy."""
        return posixpath.join(self.root, self.path(app))

    def place(self, app: App) -> str:
        """Return the folder on the app's host."""
        return self.url(app)

    def lock_place(self, app: App) -> tuple[Files, str]:
        """Return the host's files: borg's lock is there."""
        return self.means.host_of(app).files(), self.url(app)

    def files(self, app: App | None = None) -> RcloneFiles:  # noqa: ARG002  # one storage for all apps
        """Return the storage's files, with the operator's credentials."""
        return RcloneFiles(self._operators(""), f"storage {self.name}")

    def make_directory(self, app: App) -> None:
        """Make the folder on the host, and the one in the storage if it has folders."""
        self.means.host_of(app).files().make_directory(self._staging)
        super().make_directory(app)

    def survey(
        self, apps: Sequence[App], known: Mapping[str, Mapping[str, bytes]] = NOTHING, choose: Choose = newest_names
    ) -> list[Seen]:
        """As for every storage, with two rclone calls; the mark is that of the published copy while it is complete."""
        files = self.files()
        there = files.tree(self.directory)
        names = {app.name: list(_below(f"records/{app.name}", there)) for app in apps}
        chosen = {app: choose(all_of) for app, all_of in names.items()}
        old = {app.name: known.get(app.name, {}) for app in apps}
        paths = [f"records/{app}/{name}" for app, all_of in chosen.items() for name in all_of if name not in old[app]]
        read = files.read_all(self.directory, [*_told_of(apps), *paths])
        found = {f"records/{app}/{name}": text for app, texts in old.items() for name, text in texts.items()} | read
        records = {
            app: {name: found[f"records/{app}/{name}"] for name in all_of if f"records/{app}/{name}" in found}
            for app, all_of in chosen.items()
        }
        return [Seen(_mark(app, there, read), records[app.name], names[app.name]) for app in apps]

    def marks(self, apps: Sequence[App]) -> list[Mark | None]:
        """Return the marks of the published copies. Raises AppError."""
        files = self.files()
        there = files.tree(self.directory)
        read = files.read_all(self.directory, _told_of(apps))
        return [_mark(app, there, read) for app in apps]

    def marked_state(self, app: App) -> tuple[Mark | None, State]:
        """Return the mark of the published copy, and the state of the repository on the app's host. Raises AppError."""
        return self.marks([app])[0], self.state(app)

    def remark(self) -> str | None:
        """Return a warning if app hosts can overwrite or delete what is stored, or if that is unknown."""
        if self.protected is None:
            return "whether it is protected from its hosts is not known"
        return None if self.protected else "not protected from its hosts"

    def close(self) -> None:
        """Nothing to close: the hosts belong to the session."""

    def _must_be_there(self, files: Files) -> None:
        """Check nothing: folders are created with their first file."""

    def _folders(self, app: App) -> Folders:
        own = posixpath.join(self.own, app.name)
        return Folders(self.url(app), own, posixpath.join(own, "borg"))

    def _hosts(self, app: App) -> Way:
        environment = self._environment(Side.HOST, app)
        host, address = self.means.host_of(app), self.address(self.path(app))
        rate = app.upload.now() if app.upload is not None else None
        if rate is not None:  # rclone takes its options from the environment too: upload:download
            environment = {**environment, "RCLONE_BWLIMIT": f"{rate}B:off"}
        first = "\n".join(filter(None, (NICE if app.nice else "", self.first(Side.HOST))))
        return Way(host, address, environment, self.means.time_limit, first, self.rclone)

    def _operators(self, path: str) -> Way:
        environment = {**self._environment(Side.OPERATOR, None), "PATH": operator_path()}
        means = self.means
        return Way(means.operator, self.address(path), environment, means.time_limit, self.first(Side.OPERATOR))

    def _environment(self, side: Side, app: App | None) -> Environment:
        return {f"RCLONE_CONFIG_{REMOTE.upper()}_{name}": value for name, value in self.settings(side, app).items()}

    def address(self, path: str) -> str:
        """Return a path in the storage as rclone writes it."""
        return f"{REMOTE}:{posixpath.join(self.root, path) if path else self.root}"


class _State(Answer):
    """A published copy's own state (see `publishing`)."""

    publishing: dict[str, object] | None
    published: Count | None
    run: Name = ""
    config: Name = ""
    segments: dict[str, Count] = Field(default_factory=dict)


def mark(state: bytes | None, config: bytes | None, there: Sizes) -> Mark | None:
    """Return the mark of a published copy from its state, its config and the sizes of its objects.

    None if there is no copy, if it is being written, or if objects differ from its state: anyone with write access may
    delete or overwrite objects and leave the state. The host is asked instead, and reports what is wrong.
    """
    try:
        parsed = read(_State, state or b"")
    except AnswerError:
        return None
    if parsed.publishing or parsed.published is None:
        return None
    found = Mark(parsed.published, parsed.run, parsed.config)
    segments = {name: size for name, size in data_of(there).items() if name in parsed.segments}
    if segments != parsed.segments or any(number(name) > found.transaction for name in data_of(there)):
        return None
    return found if hashlib.sha256(config or b"").hexdigest() == found.config else None


def _mark(app: App, there: Sizes, read: Mapping[str, bytes]) -> Mark | None:
    return mark(read.get(f"{app.name}/{STATE}"), read.get(f"{app.name}/config"), _below(app.name, there))


def _told_of(apps: Sequence[App]) -> list[str]:
    return [f"{app.name}/{name}" for app in apps for name in (STATE, "config")]


def _below(folder: str, there: Sizes) -> Sizes:
    """Return what is below a folder, by relative path."""
    return {path.removeprefix(f"{folder}/"): size for path, size in there.items() if path.startswith(f"{folder}/")}

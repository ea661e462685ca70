"""Storages that borg cannot write to: the repository lies in `staging` on the app's host, and is published from there.

Both sides run borg on the app's host, as with a directory. What is saved counts only once it is published; the
operator's look at a repository stops when the published copy is not what the host has. Without the host, the operator's
side fetches the copy.
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

from tasks.answers import Answer, AnswerError, Count, Name, read
from tasks.errors import CloudbackupError
from tasks.inventory.models import App
from tasks.records.record import newest_names
from tasks.remote.files import Files
from tasks.remote.host import Host
from tasks.remote.script import Environment, Script, quote
from tasks.storage.base import NOTHING, Client, Means, Storage
from tasks.storage.published.host.publish import DRILL
from tasks.storage.published.host.rclone import STATE, Sizes
from tasks.storage.published.host.segments import data_of, number
from tasks.storage.published.publication import Folders, Publication, Way, operator_path, run
from tasks.storage.published.rclone_files import RcloneFiles
from tasks.storage.repository import Repository, Side
from tasks.storage.survey import Choose, Mark, Seen

REMOTE = "published"  # rclone's name of the storage; its settings are RCLONE_CONFIG_PUBLISHED_*
REMOVAL = 600.0  # seconds that the removal of a fetched copy may take
OWN = ".cloudbackup"  # beside the repositories in `staging`: what is remembered, and borg's cache


class Staged(Storage):
    """A storage that rclone reaches. A kind says where it is, and which settings rclone needs from each side."""

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
        """Return where the storage's paths begin, as rclone names it after the colon."""

    @abstractmethod
    def settings(self, side: Side, app: App | None) -> Environment:
        """Return rclone's settings for one side, without their prefix: `TYPE` and whatever that type needs.

        On the host's side `app` is given. Raises UsageError for a secret that cannot be had.
        """

    def first(self, side: Side) -> str:  # noqa: ARG002
        """Return bash that must run before rclone on one side."""
        return ""

    @property
    @abstractmethod
    def protected(self) -> bool | None:
        """Return whether the storage keeps what its hosts overwrite or delete; None when it does not tell."""

    def url(self, app: App) -> str:
        """Return the folder on the app's host."""
        return posixpath.join(self._staging, app.name)

    def reach(self, app: App, client: Client) -> Environment:  # noqa: ARG002
        """Return where borg keeps its cache: beside the repository, with which it is lost or found."""
        return {"BORG_BASE_DIR": self._folders(app).base}

    def client_host(self, app_host: Host, operator: Host, side: Side) -> Host:  # noqa: ARG002
        """Return the app's host for both sides."""
        return app_host

    def repository(self, app: App, client: Client) -> Repository:
        """Return the repository in `staging`, with what publishes it."""
        found = super().repository(app, replace(client, base=None))
        return replace(found, publication=self.publication(app))

    def publication(self, app: App) -> Publication:
        """Return the copy of an app's repository."""
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
        """Fetch the published copy anew and whole to the client's machine, yield it, and delete it. Raises AppError.

        Nothing that was fetched before is taken for the copy, nor is the repository that the host has.
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
            with suppress(CloudbackupError):  # what is left of a host that was lost goes with a later publishing
                client.host.start(Script(quote(("rm", "-rf", "--", place)))).wait(REMOVAL, 0, threading.Event())

    def published_at(self, app: App) -> str:
        """Return the folder of the published copy."""
        return posixpath.join(self.root, self.path(app))

    def place(self, app: App) -> str:
        """Return the folder on the app's host."""
        return self.url(app)

    def lock_place(self, app: App) -> tuple[Files, str]:
        """Return the host's files: there borg has its lock."""
        return self.means.host_of(app).files(), self.url(app)

    def files(self, app: App | None = None) -> RcloneFiles:  # noqa: ARG002  # one storage holds all apps
        """Return the storage's files, with the operator's means."""
        return RcloneFiles(self._operators(""), f"storage {self.name}")

    def make_directory(self, app: App) -> None:
        """Make the folder on the host, and the one in the storage where it knows such."""
        self.means.host_of(app).files().make_directory(self._staging)
        super().make_directory(app)

    def survey(
        self, apps: Sequence[App], known: Mapping[str, Mapping[str, bytes]] = NOTHING, choose: Choose = newest_names
    ) -> list[Seen]:
        """As every storage, by two calls of rclone; the mark is that of the published copy, while it is whole."""
        files = self.files()
        there = files.tree(self.directory)
        names = {app.name: list(_below(f"records/{app.name}", there)) for app in apps}
        wanted = {app: choose(all_of) for app, all_of in names.items()}
        old = {app.name: known.get(app.name, {}) for app in apps}
        paths = [f"records/{app}/{name}" for app, all_of in wanted.items() for name in all_of if name not in old[app]]
        read = files.read_all(self.directory, [*_told_of(apps), *paths])
        found = {f"records/{app}/{name}": text for app, texts in old.items() for name, text in texts.items()} | read
        records = {
            app: {name: found[f"records/{app}/{name}"] for name in all_of if f"records/{app}/{name}" in found}
            for app, all_of in wanted.items()
        }
        return [Seen(_mark(app, there, read), records[app.name], names[app.name]) for app in apps]

    def marks(self, apps: Sequence[App]) -> list[Mark | None]:
        """Return the marks of the published copies. Raises AppError."""
        files = self.files()
        there = files.tree(self.directory)
        read = files.read_all(self.directory, _told_of(apps))
        return [_mark(app, there, read) for app in apps]

    def remark(self) -> str | None:
        """Return that the storage keeps nothing from its hosts, unless it does or does not tell."""
        if self.protected is None:
            return "whether it is protected from its hosts is not known"
        return None if self.protected else "not protected from its hosts"

    def close(self) -> None:
        """Nothing is held: the hosts belong to the session."""

    def _must_be_there(self, files: Files) -> None:
        """Folders come with their first file."""

    def _folders(self, app: App) -> Folders:
        own = posixpath.join(self.own, app.name)
        return Folders(self.url(app), own, posixpath.join(own, "borg"))

    def _hosts(self, app: App) -> Way:
        environment = self._environment(Side.HOST, app)
        host, address = self.means.host_of(app), self.address(self.path(app))
        return Way(host, address, environment, self.means.time_limit, self.first(Side.HOST), self.rclone)

    def _operators(self, path: str) -> Way:
        environment = {**self._environment(Side.OPERATOR, None), "PATH": operator_path()}
        means = self.means
        return Way(means.operator, self.address(path), environment, means.time_limit, self.first(Side.OPERATOR))

    def _environment(self, side: Side, app: App | None) -> Environment:
        return {f"RCLONE_CONFIG_{REMOTE.upper()}_{name}": value for name, value in self.settings(side, app).items()}

    def address(self, path: str) -> str:
        """Return rclone's name of a path in the storage."""
        return f"{REMOTE}:{posixpath.join(self.root, path) if path else self.root}"


class _State(Answer):
    """What a published copy says of itself (see `publishing`)."""

    publishing: dict[str, object] | None
    published: Count | None
    run: Name = ""
    config: Name = ""
    segments: dict[str, Count] = Field(default_factory=dict)


def mark(state: bytes | None, config: bytes | None, there: Sizes) -> Mark | None:
    """Return the mark of a published copy by its state, its config and the sizes of its objects.

    None when there is no copy, or it is just being written, or objects are not what its state tells: whoever may write
    there may delete or overwrite them and leave the state. Then the host is asked, which tells what is wrong.
    """
    try:
        told = read(_State, state or b"")
    except AnswerError:
        return None
    if told.publishing or told.published is None:
        return None
    found = Mark(told.published, told.run, told.config)
    segments = {name: size for name, size in data_of(there).items() if name in told.segments}
    if segments != told.segments or any(number(name) > found.transaction for name in data_of(there)):
        return None
    return found if hashlib.sha256(config or b"").hexdigest() == found.config else None


def _mark(app: App, there: Sizes, read: Mapping[str, bytes]) -> Mark | None:
    return mark(read.get(f"{app.name}/{STATE}"), read.get(f"{app.name}/config"), _below(app.name, there))


def _told_of(apps: Sequence[App]) -> list[str]:
    return [f"{app.name}/{name}" for app in apps for name in (STATE, "config")]


def _below(folder: str, there: Sizes) -> Sizes:
    """Return what lies below a folder, by the path from there on."""
    return {path.removeprefix(f"{folder}/"): size for path, size in there.items() if path.startswith(f"{folder}/")}

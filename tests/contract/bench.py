"""One storage of one kind, made ready by the tool itself, with an inventory of its own and three apps."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import count
from pathlib import Path

import pytest
import yaml

import tasks.fleet.backup as fleet_backup
import tasks.storagebox.setup as storagebox_setup
from lab import tree
from lab.lab import LabApp
from tasks.borg.client.archive_name import ArchiveName
from tasks.borg.client.create import Created, FilesOptions, create
from tasks.borg.client.init import init, init_words
from tasks.borg.client.list import Archive, archives
from tasks.borg.client.runner import run_writing, script
from tasks.inventory.models import App
from tasks.records.record import Record
from tasks.remote.ssh import fingerprint
from tasks.run.session import Session
from tasks.storage.base import Storage
from tasks.storage.registry import load
from tasks.storage.repository import Repository, Side
from tests.contract.place import Place, Values
from tests.contract.support import QUICK, size_of

LONG_AGO = datetime(2026, 11, 1, tzinfo=UTC)
BEGAN = datetime.now(UTC) - timedelta(minutes=20)  # names of one suite are dated from here on, a second each
_seconds = count()


@dataclass(frozen=True)
class Sides:
    """One app's repository from both sides."""

    session: Session
    app: App

    @property
    def storage(self) -> Storage:
        return self.session.storage_of(self.app)

    @property
    def host(self) -> Repository:
        return self.session.repository(self.app, Side.HOST)

    @property
    def operator(self) -> Repository:
        return self.session.repository(self.app, Side.OPERATOR)

    def save(self) -> Created:
        """Save the app's files from its host, with the host's own means; a record says that the archive is ours."""
        assert self.app.files is not None
        made = create(self.host, FilesOptions(self.name(), self.app.files.paths), QUICK)
        record = Record(self.app.name, "create", made.start, "ok", "files", archive=made.archive, archive_id=made.id)
        self.session.write_record(self.app, record)
        return made

    def name(self, source: str = "files") -> str:
        """Return an archive's name that no other has, dated close to now, as a backup's is."""
        return str(ArchiveName(self.app.name, source, BEGAN + timedelta(seconds=next(_seconds))))

    def listed(self, side: Side = Side.OPERATOR) -> tuple[Archive, ...]:
        return archives(self.session.repository(self.app, side), how=QUICK).archives

    def ids(self) -> list[str]:
        return [archive.id for archive in self.listed()]


class Bench:
    """A storage that was set up, with repositories of shop and blog. `fresh` has none: it shares blog's host."""

    def __init__(self, kind: str, place: Place) -> None:
        self.kind = kind
        self.place = place
        self.lab = place.lab
        self.inventory = self.lab.folder / kind / "inventory"
        shutil.copytree(self.lab.inventory, self.inventory)
        shutil.copy(self.inventory / "apps/blog.yml", self.inventory / "apps/fresh.yml")
        change(self.inventory / "cloudbackup.yml", self._only_this_storage)
        if "keys" not in place.lacks:
            self.set_up()
        self._shared: Session | None = None
        for name in ("shop", "blog"):
            sides = self.sides(name)
            sides.storage.make_directory(sides.app)
            run_writing(sides.operator, script(sides.operator, init_words()))  # the key's export is seen with fresh

    def _only_this_storage(self, values: Values) -> None:
        values["storages"] = {"store": self.place.config}
        values["defaults"]["storage"] = "store"
        for name in ("escrow", "cache"):
            values[name] = str(self.inventory.with_name(name))

    def set_up(self) -> list[str]:
        """Do what `storagebox.setup` does; return what it says."""
        said: list[str] = []
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.place.environment().items():
                patch.setenv(name, value)
            storagebox_setup.run(str(self.inventory), ["store"], self._trusts, said.append)
        return said

    def _trusts(self, _: str, shown: str) -> bool:
        return shown == fingerprint(self.place.host_key)

    def make(self, sides: Sides) -> bool:
        """Do what `borg.init` does; tell whether the repository is new."""
        sides.storage.make_directory(sides.app)
        return init(sides.operator, self.escrow, QUICK).created

    @property
    def escrow(self) -> Path:
        return self.inventory.with_name("escrow")

    def session(self) -> Session:
        return Session(load(self.inventory))

    def sides(self, app: str) -> Sides:
        """Return one app from both sides, over connections that tests share."""
        if self._shared is None:
            self._shared = self.session()
        return Sides(self._shared, self._shared.inventory.app(app))

    @contextmanager
    def alone(self, app: str) -> Iterator[Sides]:
        """Return one app from both sides, over connections of its own: the shared ones are closed."""
        self.hang_up()
        with self.session() as session:
            yield Sides(session, session.inventory.app(app))

    def hang_up(self) -> None:
        if self._shared is not None:
            self._shared.__exit__(None, None, None)
            self._shared = None

    @property
    def account_keys(self) -> Path:
        return self.place.home / ".ssh/authorized_keys"

    def app(self, name: str) -> LabApp:
        return self.lab.apps[name]

    def repository(self, app: str) -> Path:
        """Return where a repository lies on this machine."""
        return self.place.folder / app

    def stored(self, app: str) -> int:
        return size_of(self.place.stored / app / "data")

    @cached_property
    def first(self) -> str:
        """Return the name of an archive of shop, saved as `inv backup` does."""
        assert fleet_backup.run(str(self.inventory), fleet_backup.Options(apps=["shop"])) == 0
        shop = self.sides("shop")
        record = shop.storage.read_records(shop.app).newest("backup", "files")
        assert record is not None
        assert record.archive is not None
        return record.archive

    def fingerprint(self, app: str) -> dict[str, str]:
        return tree.fingerprint(self.app(app).files, excluding_caches=True)

    def variant(self, folder: Path, file: str, alter: Callable[[Values], None]) -> Path:
        """Return a copy of the inventory in which one file is changed."""
        if not folder.exists():
            shutil.copytree(self.inventory, folder)
        change(folder / file, alter)
        return folder


def change(path: Path, alter: Callable[[Values], None]) -> None:
    values = yaml.safe_load(path.read_text())
    alter(values)
    path.write_text(yaml.safe_dump(values, sort_keys=False, allow_unicode=True))

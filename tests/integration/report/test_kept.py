"""What the report keeps of repositories makes it quick, and never makes it wrong."""

import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from tasks.borg.client.list import Listing, archives
from tasks.records.ledger import KNOWN
from tasks.records.record import HISTORY, NEWEST, Record
from tasks.report.gather import gather
from tasks.report.rows import Row
from tasks.run.session import Session
from tasks.storage.base import record_name
from tasks.storage.registry import load

CHECKOUT = Path(__file__).parents[3]
NAMES = [f"shop-files-2026-11-2{day}T03-00-00" for day in range(1, 6)]


class Place:
    """An inventory with one app, and its repository beside it. `listings` counts those that borg made for reports."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.repository = folder / "disk/shop"
        self.cache = folder / "cache/report/disk/shop.json"
        self.listings = 0
        main: dict[str, Any] = {"storages": {"disk": {"kind": "local", "directory": str(folder / "disk")}}}
        main |= {name: str(folder / name) for name in ("escrow", "cache")}
        (folder / "inventory/apps").mkdir(parents=True)
        (folder / "disk").mkdir()
        (folder / "passphrase").write_text("secret")
        (folder / "inventory/cloudbackup.yml").write_text(yaml.safe_dump(main))
        app = {
            "host": "local",
            "passphrase": {"file": str(folder / "passphrase")},
            "files": {"paths": [str(folder / "inventory")]},
        }
        (folder / "inventory/apps/shop.yml").write_text(yaml.safe_dump(app))

    def borg(self, *words: str, **environment: str) -> None:
        added = {"BORG_REPO": str(self.repository), "BORG_PASSPHRASE": "secret", **environment}
        subprocess.run(("borg", *words), env={**os.environ, **added}, check=True, capture_output=True)

    def init(self) -> None:
        self.borg("init", "--encryption=repokey-blake2")

    def save(self, name: str) -> None:
        self.borg("create", f"::{name}", str(self.folder / "inventory/apps"))

    def report(self, *, fresh: bool = False) -> Row:
        with Session(load(self.folder / "inventory")) as session:
            return gather(session, session.inventory.select(), fresh=fresh).apps[0]

    def listed(self, *, fresh: bool = False) -> tuple[Row, int]:
        """Return the row, and how often borg was asked for it."""
        before = self.listings
        return self.report(fresh=fresh), self.listings - before


@pytest.fixture
def place(tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Return a place with one archive, of which the report knows."""
    monkeypatch.setenv("BORG_BASE_DIR", str(tmp_path / "borg"))
    place = Place(tmp_path / "place")
    shutil.copytree(whole / "disk/shop", place.repository)

    def counted(*words: Any, **more: Any) -> Listing:
        place.listings += 1
        return archives(*words, **more)

    monkeypatch.setattr("tasks.borg.catalog.archives", counted)
    assert place.listed()[1] == 1
    return place


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a place with one archive, to be copied."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BORG_BASE_DIR", str(folder / "borg"))
        place = Place(folder / "place")
        place.init()
        place.save(NAMES[0])
    return folder / "place"


def test_nothing_changed_so_borg_is_not_asked(place: Place) -> None:
    again, listings = place.listed()
    assert (again.archive, again.archives, listings) == (NAMES[0], 1, 0)
    assert place.listed(fresh=True)[1] == 1


def test_a_new_a_renamed_and_a_deleted_archive_are_seen(place: Place) -> None:
    place.save(NAMES[1])
    assert place.report().archive == NAMES[1]
    place.borg("rename", f"::{NAMES[1]}", NAMES[2])
    assert place.report().archive == NAMES[2]
    place.borg("delete", f"::{NAMES[2]}")
    row, listings = place.listed()
    assert (row.archive, row.archives, listings) == (NAMES[0], 1, 1)


def test_another_repository_in_its_place_is_seen(place: Place) -> None:
    shutil.rmtree(place.repository)
    row = place.report()
    assert row.status == "missing"
    assert "there is no repository" in str(row.error)
    place.init()
    row = place.report()
    assert (row.status, row.archive) == ("missing", None)


def test_a_rolled_back_repository_that_reached_the_same_number_is_seen(place: Place) -> None:
    aside = place.folder / "aside"
    shutil.copytree(place.repository, aside)
    place.save(NAMES[1])
    number = max(int(file.suffix[1:]) for file in place.repository.glob("index.*"))
    assert place.report().archive == NAMES[1]
    shutil.rmtree(place.repository)
    aside.rename(place.repository)
    shutil.rmtree(place.folder.parent / "borg")  # a client that saw the later state refuses the earlier one
    place.save(NAMES[2])
    assert number == max(int(file.suffix[1:]) for file in place.repository.glob("index.*"))
    row, listings = place.listed()
    assert (row.archive, row.archives, listings) == (NAMES[2], 2, 1)


def test_a_changed_passphrase_is_seen(place: Place) -> None:
    place.borg("key", "change-passphrase", BORG_NEW_PASSPHRASE="another")
    row = place.report()
    assert row.status == "unknown"
    assert "passphrase" in str(row.error)


def test_a_listing_that_a_change_overtook_is_not_kept(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.save(NAMES[1])

    def overtaken(*words: Any, **more: Any) -> Listing:
        place.listings += 1
        listing = archives(*words, **more)
        place.borg("delete", f"::{NAMES[1]}")
        return listing

    with monkeypatch.context() as patch:
        patch.setattr("tasks.borg.catalog.archives", overtaken)
        place.report()
    assert place.listed()[1] == 1
    assert place.report().archive == NAMES[0]


def test_a_backup_that_runs_neither_waits_nor_is_waited_for(place: Place) -> None:
    words = ("borg", "create", "--content-from-command", f"::{NAMES[1]}", "--", "sh", "-c", "echo; sleep 600")
    added = {"BORG_REPO": str(place.repository), "BORG_PASSPHRASE": "secret"}
    backup = subprocess.Popen(words, env={**os.environ, **added}, start_new_session=True)
    try:
        while not (place.repository / "lock.exclusive").exists():
            assert backup.poll() is None
        row, listings = place.listed()
        assert (row.archive, listings) == (NAMES[0], 0)
    finally:
        os.killpg(backup.pid, 15)
        backup.wait()


@pytest.mark.parametrize("text", [b"", b"{", b"abc\n{}", b'{"address": null}', b"\xff" * 1000])
def test_a_broken_file_counts_for_nothing(place: Place, text: bytes) -> None:
    good = place.cache.read_bytes()
    place.cache.write_bytes(text)
    row, listings = place.listed()
    assert (row.archive, listings) == (NAMES[0], 1)
    assert place.cache.read_bytes() == good
    place.cache.write_bytes(good.replace(b"shop-files", b"shop-filez"))
    assert place.report().archive == NAMES[0]


def test_a_folder_that_cannot_be_written_does_no_harm(place: Place) -> None:
    shutil.rmtree(place.folder / "cache")
    (place.folder / "cache").write_text("a file is in the way")
    row, listings = place.listed()
    assert (row.archive, listings) == (NAMES[0], 1)


def test_what_is_kept_of_another_address_counts_for_nothing(place: Place) -> None:
    place.repository.parent.rename(place.folder / "moved")
    file = place.folder / "inventory/cloudbackup.yml"
    file.write_text(file.read_text().replace(str(place.folder / "disk"), str(place.folder / "moved")))
    assert place.listed()[1] == 1


def test_operators_at_once_see_the_same(place: Place) -> None:
    place.save(NAMES[1])
    place.cache.unlink()
    code = "import sys; from pathlib import Path; from tasks.storage.registry import load; from tasks.run.session import Session;"
    code += "from tasks.report.gather import gather; session = Session(load(Path(sys.argv[1])));"
    code += "print(gather(session, session.inventory.select()).apps[0].archive)"
    words = (sys.executable, "-c", code, str(place.folder / "inventory"))
    others = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=CHECKOUT) for _ in range(2)]
    assert place.report().archive == NAMES[1]
    assert [other.communicate(timeout=60)[0].strip() for other in others] == [NAMES[1]] * 2
    row, listings = place.listed()
    assert (row.archive, listings) == (NAMES[1], 0)


def test_history_is_read_where_it_is_shown_and_then_kept(place: Place) -> None:
    folder = place.folder / "disk/records/shop"
    folder.mkdir(parents=True)
    for day in range(HISTORY + 20):
        record = Record("shop", "backup", datetime.now(UTC) - timedelta(days=day), "ok", "files", size=day)
        (folder / record_name(record.time, "backup", "files")).write_text(record.to_json())
    milestone = Record(
        "shop", "prune", datetime.now(UTC), "ok", details={"known_ids": []}
    )  # nothing older must be read
    (folder / record_name(milestone.time, "prune", KNOWN)).write_text(milestone.to_json())

    def count(newest: int) -> int:
        with Session(load(place.folder / "inventory")) as session:
            return len(gather(session, session.inventory.select(), newest=newest).records["disk", "shop"])

    assert [count(NEWEST), count(HISTORY), count(NEWEST)] == [NEWEST + 1, HISTORY + 1, HISTORY + 1]


def test_of_records_that_come_every_few_minutes_each_day_is_shown(place: Place) -> None:
    """They are not all read: the names of their files tell of older days."""
    folder = place.folder / "disk/records/shop"
    folder.mkdir(parents=True, exist_ok=True)
    now = datetime.now(UTC)
    for number in range(12 * 30):  # every two hours, for 30 days
        record = Record("shop", "backup", now - timedelta(hours=2 * number), "ok", "files", size=number, stored=1)
        (folder / record_name(record.time, "backup", "files")).write_text(record.to_json())
    milestone = Record("shop", "prune", now, "ok", details={"known_ids": []})
    (folder / record_name(milestone.time, "prune", KNOWN)).write_text(milestone.to_json())

    with Session(load(place.folder / "inventory")) as session:
        shown = gather(session, session.inventory.select(), newest=HISTORY)

    records = [each for each in shown.records["disk", "shop"] if each.action == "backup"]
    assert len({each.time.date() for each in records}) >= 30
    assert sum(each.size is not None for each in records) == HISTORY
    assert shown.growth == pytest.approx({"disk": 12}, rel=0.01)

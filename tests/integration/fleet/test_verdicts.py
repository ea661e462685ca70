"""A backup that lacks something: what every place says of it that a person or a machine may look at."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.integration.fleet.support import PROGRAM, Operator, untimed
from tests.integration.local import after_the_newest_archive, local_inventory, records
from tests.unit.notify.support import Web, listening

SHOP = ("--app", "shop")
# Root may read everything: so these are taken from it.
MAY_NOT_READ = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search", "--")


class Restricted(Operator):
    """The operator of a host whose login may read what its rights say, as other users do."""

    def inv(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [*MAY_NOT_READ, *PROGRAM, *words]
        end = subprocess.run(  # noqa: PLW1510
            command, env=self.environment(), cwd="/", capture_output=True, text=True, stdin=subprocess.DEVNULL
        )
        return subprocess.CompletedProcess(words, end.returncode, untimed(end.stdout), end.stderr)


@pytest.fixture
def web() -> Iterator[Web]:
    with listening() as web:
        yield web


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def fleet(tmp_path: Path, web: Web) -> Operator:
    """Return the operator of an app with files in `data` and `media`, of which one good archive is there."""
    operator = Operator(local_inventory(tmp_path, tmp_path / "fault"))
    (tmp_path / "inventory" / "apps" / "new.yml").unlink()
    (tmp_path / "media").mkdir()
    (tmp_path / "media" / "photo").write_text("photo")
    address = tmp_path / "address"
    address.write_text(web.address.replace("http", "json"))
    operator.change("cloudbackup.yml", lambda main: main.update(notify=[{"url": {"file": str(address)}}]))
    operator.change("apps/shop.yml", lambda app: app.update(keep={"last": 1}))
    paths = [str(tmp_path / "data"), str(tmp_path / "media")]
    operator.change("apps/shop.yml", lambda app: app["files"].update(paths=paths))
    operator.done("borg.init", *SHOP)
    operator.done("backup", *SHOP)
    after_the_newest_archive(tmp_path)
    return operator


@dataclass(frozen=True)
class Case:
    """What becomes of `media`, and what is said of it; `reason` with {} for the folder of the test."""

    name: str
    happens: Callable[[Path, Operator, ExitStack], Any]
    reason: str

    def __str__(self) -> str:
        return self.name


def away(folder: Path, fleet: Operator, stack: ExitStack) -> None:
    (folder / "media").rename(folder / "elsewhere")


def emptied(folder: Path, fleet: Operator, stack: ExitStack) -> None:
    (folder / "media" / "photo").unlink()


def forbidden(folder: Path, fleet: Operator, stack: ExitStack) -> None:
    owned_by_another(folder / "media" / "photo", 0o600)


def closed(folder: Path, fleet: Operator, stack: ExitStack) -> None:
    deep = folder / "media" / "users" / "private"
    deep.mkdir(parents=True)
    (deep / "key").write_text("key")
    owned_by_another(deep, 0o700)


def owned_by_another(path: Path, mode: int) -> None:
    subprocess.run(("chown", "12345:12345", str(path)), check=True)
    path.chmod(mode)


def dangling(folder: Path, fleet: Operator, stack: ExitStack) -> None:
    (folder / "media").rename(folder / "elsewhere")
    (folder / "media").symlink_to("gone")


def looping(folder: Path, fleet: Operator, stack: ExitStack) -> None:
    (folder / "media").rename(folder / "elsewhere")
    (folder / "media").symlink_to("media")


def mounted(folder: Path, fleet: Operator, stack: ExitStack) -> None:
    place = folder / "media" / "uploads"
    place.mkdir()
    subprocess.run(("mount", "-t", "tmpfs", "none", str(place)), check=True)
    stack.callback(subprocess.run, ("umount", "-l", str(place)), check=True)
    (place / "scan").write_text("scan")


def excluded(folder: Path, fleet: Operator, stack: ExitStack) -> None:
    fleet.change("apps/shop.yml", lambda app: app["files"].update(exclude=["*/media/*"]))


def unmounted(folder: Path, fleet: Operator, stack: ExitStack) -> None:
    expect = {"mounted": [str(folder / "media")]}
    fleet.change("apps/shop.yml", lambda app: app["files"].update(expect=expect))


CASES = (
    Case("a path is gone", away, "{}/media: is not there"),
    Case("a path is empty", emptied, "{}/media: has nothing in it that is saved: it is empty, or all of it is excluded"),
    Case("a file may not be read", forbidden, "{}/media/photo: Permission denied"),
    Case("a folder deep inside may not be read", closed, "{}/media/users/private: Permission denied"),
    Case("a link leads nowhere", dangling, "{}/media: is a link to {}/gone, which is not there"),
    Case(
        "a link leads to itself", looping,
        "{}/media: is a link to {}/media, which cannot be read: Too many levels of symbolic links",
    ),
    Case("a disk inside a path", mounted, "{}/media/uploads: is a file system of its own (tmpfs)"),
    Case("all of a path is excluded", excluded, "{}/media: has nothing in it that is saved: it is empty, or all of it is excluded"),
    Case("a disk is not mounted", unmounted, "{}/media: is not mounted"),
)  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_what_is_left_out_is_seen_before_and_at_the_backup_and_frees_nothing(
    case: Case, fleet: Operator, tmp_path: Path, stack: ExitStack
) -> None:
    whole = fleet.archives("shop")[0]
    case.happens(tmp_path, fleet, stack)
    reason = case.reason.replace("{}", str(tmp_path))
    path, _, why = reason.partition(": ")
    login = Restricted(fleet.inventory) if "Permission" in reason else fleet

    checked = login.inv("app.check", *SHOP)
    assert checked.returncode == 4
    assert f"{path} {why}" in checked.stdout.replace("cannot be read: Perm", "Perm")
    end = login.inv("backup", *SHOP)
    assert end.returncode == 4
    assert f"1 left out: {reason}" in end.stdout
    row = fleet.report()["shop", "files"]
    assert (row["status"], row["incomplete"]) == ("incomplete", {"count": 1, "first": [reason]})
    assert fleet.inv("prune", *SHOP, "--yes").returncode == 5
    assert whole in fleet.archives("shop")


def test_an_incomplete_archive_is_told_everywhere_until_it_is_accepted(
    fleet: Operator, web: Web, tmp_path: Path
) -> None:
    whole = fleet.archives("shop")[0]
    (tmp_path / "media").rename(tmp_path / "elsewhere")
    reason = f"{tmp_path}/media: is not there"
    left_out = {"count": 1, "first": [reason]}

    end = fleet.inv("backup", *SHOP)
    assert end.returncode == 4
    assert "1 of 1 saved" in end.stdout
    assert "1 incomplete" in end.stdout
    assert [f"left out: {reason}" in body and '"type": "failure"' in body for _, body in web.heard] == [True]
    record = records(tmp_path, "backup")[-1]
    assert (record["outcome"], record["details"]["left_out"]) == ("incomplete", left_out)
    row = fleet.report()["shop", "files"]
    assert (row["status"], row["incomplete"], row["archive"]) == ("incomplete", left_out, record["archive"])
    assert row["last_good"] < row["last"]
    assert fleet.inv("report", *SHOP).returncode == 0
    assert fleet.inv("report", "--strict", *SHOP).returncode == 3
    for form, says in (("table", "incomplete"), ("markdown", "incomplete"), ("csv", "incomplete"), ("html", reason)):
        assert says in fleet.done("report", *SHOP, "--format", form)
    metrics = fleet.done("report", *SHOP, "--format", "prometheus")
    assert 'cloudbackup_status="incomplete",source="files",storage="disk"} 1.0' in metrics
    assert 'cloudbackup_left_out_files{app="shop",source="files",storage="disk"} 1.0' in metrics
    assert "incomplete" in fleet.done("report.history", *SHOP, "--action", "backup")
    assert f"incomplete: 1 left out: {reason}" in fleet.done("borg.info", *SHOP, "--archive", record["archive"])

    assert fleet.inv("prune", *SHOP, "--yes").returncode == 5
    assert fleet.inv("borg.compact", *SHOP, "--yes").returncode == 5
    assert "lacks 1" in fleet.inv("verify", *SHOP, "--all").stdout
    back = fleet.inv("restore", *SHOP, "--target", str(tmp_path / "back"))
    assert back.returncode in (3, 4)
    assert f"lacks 1: {reason}" in back.stdout
    assert whole in back.stdout

    fleet.done("report.accept", *SHOP, "--reason", "meant so", "--yes")
    row = fleet.report()["shop", "files"]
    assert (row["status"], row["verdict_accepted"]["reason"]) == ("ok", "meant so")
    assert fleet.inv("report", "--strict", *SHOP).returncode == 0
    fleet.done("prune", *SHOP, "--yes")
    assert fleet.archives("shop") == [record["archive"]]

"""An archive is given as a moment, wherever one is given: the newest good one that was made before it."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.integration.fleet.support import Operator, eventually
from tests.integration.fleet.test_choice import forge
from tests.integration.local import after_the_newest_archive, local_inventory, records


def a_second() -> str:
    """Return a second as a person types it, once it is over: what is done is before it, what is saved now after it."""
    now = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=1)
    assert eventually(lambda: datetime.now(UTC).replace(microsecond=0) > now)
    return f"{now:%Y-%m-%d %H:%M:%S}Z"


@pytest.fixture
def shop(tmp_path: Path) -> Operator:
    operator = Operator(local_inventory(tmp_path, tmp_path / "fault"))
    (operator.inventory / "apps/new.yml").unlink()
    operator.done("borg.init")
    return operator


def test_a_moment_is_an_archive_everywhere(shop: Operator, tmp_path: Path) -> None:
    file, gone = tmp_path / "data" / "file", tmp_path / "gone"
    before = a_second()
    shop.done("backup")
    first = a_second()
    file.write_text("second")
    shop.done("backup")
    shop.change("apps/shop.yml", lambda app: app["files"]["paths"].append(str(gone)))
    after_the_newest_archive(tmp_path)
    file.write_text("third")
    assert shop.inv("backup").returncode in (3, 4)  # incomplete, so it is no good archive
    one, two, _incomplete = shop.archives("shop")
    now = a_second()

    place = str(tmp_path / "data")[1:]
    for number, (moment, text) in enumerate(((first, "content"), (now, "second"))):
        for task in ("restore", "borg.extract"):
            target = tmp_path / f"{task}-{number}"
            end = shop.inv(task, "--app", "shop", "--archive", moment, "--target", str(target))
            assert (end.returncode, (target / place / "file").read_text()) == (3 * (task == "restore" and number), text)
    assert "is newer, and not whole or suspect; --archive takes it" in end.stdout
    assert one in shop.done("borg.info", "--app", "shop", "--archive", first)
    assert f"/{place}/file" in shop.done("borg.list", "--app", "shop", "--archive", first)
    shop.done("verify", "--app", "shop", "--archive", first)
    assert records(tmp_path, "verify")[-1]["archive"] == one

    told = shop.done("borg.diff", "--app", "shop", "--second", now)
    assert told.startswith(f"from {one} to {two}:\n")
    assert f"modified (+6 B, -7 B), ctime, mtime  /{place}/file" in told
    assert shop.done("borg.diff", "--app", "shop", "--first", first, "--second", two) == told

    end = shop.inv("restore", "--app", "shop", "--archive", before, "--target", str(tmp_path / "none"))
    assert (end.returncode, "shop has no archive of files yet at" in end.stderr) == (2, True)
    end = shop.inv("verify", "--archive", before)
    assert (end.returncode, len(records(tmp_path, "verify"))) == (2, 1), end.stdout  # its absence then is no fault
    end = shop.inv("restore", "--app", "shop", "--archive", "yesterdy", "--target", str(tmp_path / "none"))
    assert (end.returncode, "or a moment as '2026-11-22 14:03'" in end.stderr) == (2, True)
    assert not (tmp_path / "none").exists()


def test_a_backup_that_went_on_after_the_moment_is_said_to(shop: Operator, tmp_path: Path) -> None:
    shop.done("backup")
    (record,) = (path for path in (tmp_path / "storage").rglob("*.json") if '"backup"' in path.read_text())
    values = json.loads(record.read_text())
    record.write_text(json.dumps({**values, "duration_seconds": 3600.0}))
    now = a_second()
    end = shop.inv("restore", "--app", "shop", "--at", now, "--target", str(tmp_path / "out"))
    assert (end.returncode, ": a file in it may be of after " in end.stdout) == (3, True), end.stdout
    assert shop.inv("restore", "--app", "shop", "--target", str(tmp_path / "latest")).returncode == 0


def test_an_archive_whose_name_could_be_a_moment_is_meant_by_it(shop: Operator, tmp_path: Path) -> None:
    shop.done("backup")
    forge(tmp_path, "yesterday")
    end = shop.inv("restore", "--app", "shop", "--archive", "yesterday", "--target", str(tmp_path / "one"), "--yes")
    assert end.returncode == 3
    assert (tmp_path / "one" / str(tmp_path / "data")[1:] / "file").read_text() == "forged"
    end = shop.inv("borg.diff", "--app", "shop")
    assert (end.returncode, "has no archive of files before" in end.stderr) == (2, True)

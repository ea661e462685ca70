"""Which archive is restored and drilled: `latest` is one that a record knows, and any name that is listed will do."""

import os
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.integration.fleet.support import Operator
from tests.integration.local import after_the_newest_archive, local_inventory, records


@pytest.fixture
def fleet(tmp_path: Path) -> Operator:
    operator = Operator(local_inventory(tmp_path, tmp_path / "fault"))
    operator.done("borg.init", "--app", "shop")
    operator.done("backup", "--app", "shop")
    return operator


def forge(tmp_path: Path, name: str, text: str = "forged") -> None:
    """Make an archive as whoever has the host's key does."""
    data = tmp_path / "data" / "file"
    kept = data.read_bytes()
    data.write_text(text)
    environment = {
        **os.environ,
        "BORG_REPO": str(next((tmp_path / "storage").rglob("shop/config")).parent),
        "BORG_PASSPHRASE": (tmp_path / "secret").read_text().strip(),
        "BORG_RELOCATED_REPO_ACCESS_IS_OK": "yes",
    }
    words = ("borg", "create", f"::{name}", str(data.parent))
    subprocess.run(words, env=environment, check=True, capture_output=True)
    data.write_bytes(kept)


def test_the_newest_archive_that_a_record_knows_is_latest(fleet: Operator, tmp_path: Path) -> None:
    forged = "shop-files-2036-11-22T03-00-00"
    forge(tmp_path, forged)
    end = fleet.inv("restore", "--app", "shop", "--target", str(tmp_path / "one"))
    assert end.returncode == 3
    assert f"{forged} is newer, and no record knows it" in end.stdout
    assert (tmp_path / "one" / str(tmp_path / "data")[1:] / "file").read_text() == "content"

    asked = fleet.inv("restore", "--app", "shop", "--archive", forged, "--target", str(tmp_path / "two"))
    assert asked.returncode == 2
    assert f"No record knows {forged}." in asked.stderr
    assert not (tmp_path / "two").exists()
    end = fleet.inv("restore", "--app", "shop", "--archive", forged, "--target", str(tmp_path / "two"), "--yes")
    assert end.returncode == 3
    assert "somebody with the host's key may have made it" in end.stdout
    assert (tmp_path / "two" / str(tmp_path / "data")[1:] / "file").read_text() == "forged"


def test_what_no_record_knows_is_never_proven(fleet: Operator, tmp_path: Path) -> None:
    forge(tmp_path, "shop-files-2036-11-22T03-00-00")
    end = fleet.inv("verify", "--app", "shop", "--archive", "shop-files-2036-11-22T03-00-00")
    assert end.returncode == 3
    assert "no record knows it" in end.stdout
    assert fleet.report()["shop", "files"]["proven"] is None
    assert not any("archive_id" in record for record in records(tmp_path, "verify"))
    end = fleet.inv("verify", "--app", "shop")
    assert "shop-files-2036-11-22T03-00-00 is newer, and no record knows it" in end.stdout
    assert str(records(tmp_path, "verify")[-1]["archive"]) in fleet.archives("shop")
    assert "2036" not in str(records(tmp_path, "verify")[-1]["archive"])


def test_no_known_archive_at_all_is_refused_with_the_name_to_give(fleet: Operator, tmp_path: Path) -> None:
    for record in (tmp_path / "storage").rglob("*.json"):
        record.unlink()
    name = fleet.archives("shop")[0]
    end = fleet.inv("restore", "--app", "shop", "--target", str(tmp_path / "one"))
    assert end.returncode == 5
    assert f"`--archive {name}` takes it all the same" in end.stderr
    end = fleet.inv("restore", "--app", "shop", "--archive", name, "--target", str(tmp_path / "one"), "--yes")
    assert end.returncode == 3
    assert (tmp_path / "one" / str(tmp_path / "data")[1:] / "file").read_text() == "content"


@pytest.mark.parametrize("name", ["before-upgrade", "old-files-2026-11-22T03-00-00", "odd [name] *"])
def test_any_name_that_is_listed_will_do(fleet: Operator, tmp_path: Path, name: str) -> None:
    forge(tmp_path, name)
    words = ("--app", "shop", "--archive", name)
    end = fleet.inv("restore", *words, "--target", str(tmp_path / "one"), "--yes")
    assert end.returncode == 3, end.stderr
    assert (tmp_path / "one" / str(tmp_path / "data")[1:] / "file").read_text() == "forged"
    end = fleet.inv("verify", *words)  # also by the name of another app, of one that was renamed
    assert end.returncode == 3, end.stderr
    assert "1 of 1 file read" in end.stdout
    end = fleet.inv("restore", "--app", "shop", "--archive", name[:-1], "--target", str(tmp_path / "two"))
    assert end.returncode == 2
    assert f"did you mean {name}?" in end.stderr


def test_an_incomplete_archive_comes_back_and_it_is_said_what_is_missing(fleet: Operator, tmp_path: Path) -> None:
    whole = fleet.archives("shop")[0]
    gone = tmp_path / "gone"

    def change(app: dict[str, object]) -> None:
        app["files"] = {"paths": [str(tmp_path / "data"), str(gone)]}

    fleet.change("apps/shop.yml", change)
    after_the_newest_archive(tmp_path)
    end = fleet.inv("backup", "--app", "shop")
    assert end.returncode in (3, 4)
    (tmp_path / "data" / "file").write_text("newer")
    end = fleet.inv("restore", "--app", "shop", "--yes")
    assert end.returncode == 3
    assert re_status(end.stdout) == "incomplete"
    assert f"the archive holds nothing of {gone}: it is as it was" in end.stdout
    assert f"the newest whole one is {whole}: --archive takes it" in end.stdout
    assert (tmp_path / "data" / "file").read_text() == "content"
    assert fleet.inv("restore", "--app", "shop", "--archive", whole, "--target", str(tmp_path / "w")).returncode == 0


def re_status(printed: str) -> str:
    return next(line.split()[2] for line in printed.splitlines() if line.startswith("shop"))


def test_a_folder_that_holds_something_is_refused_for_several_sources_as_for_one(
    fleet: Operator, tmp_path: Path
) -> None:
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine").write_text("precious")
    end = fleet.inv("restore", "--app", "shop", "--target", str(full))
    assert end.returncode == 2
    assert "is not empty" in end.stdout + end.stderr
    assert yaml.safe_load((fleet.inventory / "apps/shop.yml").read_text())["files"]
    assert [each.name for each in full.iterdir()] == ["mine"]


def test_names_that_are_not_utf_8_are_drilled_like_others(fleet: Operator, tmp_path: Path) -> None:
    for name in (b"caf\xe9", b"\xff[1]*\xfe", b"caf\xe8", b"what?"):
        Path(os.fsdecode(bytes(tmp_path / "data") + b"/" + name)).write_bytes(name)
    fleet.inv("backup", "--app", "shop")
    for sample in ("2", "5", "100"):
        end = fleet.inv("verify", "--app", "shop", "--sample", sample)
        assert end.returncode == 0, end.stdout
    assert "(100 % of all files within 90 days)" in end.stdout
    assert "5 of 5 files read" in end.stdout
    assert fleet.report()["shop", "files"]["read_share"] == 1


def test_what_holds_no_file_proves_nothing(fleet: Operator, tmp_path: Path) -> None:
    (tmp_path / "data" / "file").unlink()
    after_the_newest_archive(tmp_path)
    fleet.inv("backup", "--app", "shop")
    for words in ((), ("--all",)):
        end = fleet.inv("verify", "--app", "shop", *words)
        assert end.returncode == 4
        assert "nothing in them, so a drill proves nothing" in end.stdout
    assert fleet.report()["shop", "files"]["proven"] is None


def test_drills_read_on_from_where_the_last_one_ended(fleet: Operator, tmp_path: Path) -> None:
    for number in range(9):
        (tmp_path / "data" / f"more-{number}").write_text(f"{number}")
    after_the_newest_archive(tmp_path)
    fleet.done("backup", "--app", "shop")
    for _ in range(6):  # each reads at least two on, for up to half of a sample are files that changed
        fleet.done("verify", "--app", "shop", "--sample", "4")
    details = [record["details"] for record in records(tmp_path, "verify")]
    shares = [each["read_share"] for each in details if isinstance(each, dict)]
    assert shares == sorted(shares)
    assert shares[-1] == 1 > shares[0] > 0

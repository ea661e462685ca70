"""An archive that lacks what the inventory names, or holds less than it says: what every place tells of it."""

import json
import shutil
from pathlib import Path

import pytest

from lab.lab import Lab
from tests.integration.fleet.support import Operator
from tests.integration.fleet.test_faults import line_of


def newest_record(lab: Lab, operator: Operator) -> dict[str, object]:
    folder = lab.box.home() / "cloudbackup" / "records" / "shop"
    records = [json.loads(path.read_text()) for path in folder.glob("*.json")]
    mine = [record for record in records if (record["action"], record.get("source")) == ("backup", "files")]
    return max(mine, key=lambda record: str(record["time"]))


def test_a_path_that_is_not_there_is_told_everywhere(lab: Lab, operator: Operator, saved: str, tmp_path: Path) -> None:
    other = operator.copy(tmp_path / "inventory")
    gone = {"count": 1, "first": ["/srv/is gone: is not there"]}
    other.change("apps/shop.yml", lambda app: app["files"].update(optional=["/srv/may be gone"]))
    other.change("apps/shop.yml", lambda app: app["files"]["paths"].append("/srv/is gone"))
    end = other.inv("backup", "--app", "shop", "--source", "files")
    assert end.returncode == 4
    assert line_of(end.stdout, "shop", "files").split()[2] == "incomplete"
    assert "1 left out: /srv/is gone: is not there" in end.stdout
    assert "may be gone" not in end.stdout
    record = newest_record(lab, other)
    assert (record["outcome"], record["details"]["left_out"]) == ("incomplete", gone)  # type: ignore[index]
    row = other.report()["shop", "files"]
    assert (row["status"], row["incomplete"]) == ("incomplete", gone)
    named = str(record["archive"])
    told = other.done("borg.info", "--app", "shop", "--archive", named)
    assert "cloudbackup: incomplete: 1 left out: /srv/is gone: is not there" in told
    assert str(record["archive_id"]) in told
    checked = other.inv("app.check", "--app", "shop")
    assert checked.returncode == 4
    assert "error    files       /srv/is gone is not there" in checked.stdout
    # the archive's new id is the recorded one: nobody takes it for a stranger's
    assert "all recorded" in operator.done("app.check", "--app", "shop")
    operator.done("backup", "--app", "shop", "--source", "files")
    assert operator.report()["shop", "files"]["status"] == "ok"


def test_less_than_expected_is_suspect(lab: Lab, operator: Operator, saved: str, tmp_path: Path) -> None:
    other = operator.copy(tmp_path / "inventory")
    other.change("apps/shop.yml", lambda app: app["files"].update(expect={"min_files": 100_000, "min_size": "1GB"}))
    end = other.inv("backup", "--app", "shop", "--source", "files")
    assert end.returncode == 3
    assert line_of(end.stdout, "shop", "files").split()[2] == "suspect"
    record = newest_record(lab, other)
    assert record["details"]["files"] < 100_000  # type: ignore[index]
    assert [each.split(", ")[1] for each in record["details"]["suspect"]] == [  # type: ignore[index]
        "less than the 1.0 GB of `files.expect`", "fewer than the 100,000 of `files.expect`"]  # fmt: skip
    assert "cloudbackup: suspect: " in other.done("borg.info", "--app", "shop", "--archive", str(record["archive"]))
    assert other.inv("app.check", "--app", "shop").returncode == 4
    operator.done("backup", "--app", "shop", "--source", "files")


def test_a_link_as_a_path_comes_back_with_what_it_leads_to(
    lab: Lab, operator: Operator, saved: str, tmp_path: Path
) -> None:
    site = tmp_path / "site"
    (site / "releases" / "7").mkdir(parents=True)
    (site / "releases" / "7" / "code").write_text("code 7")
    (site / "current").symlink_to("releases/7")
    other = operator.copy(tmp_path / "inventory")
    other.change("apps/shop.yml", lambda app: app["files"].update(paths=[str(site / "current")]))
    printed = other.inv("backup", "--app", "shop", "--source", "files").stdout
    assert f"{site}/current is a link: {site}/releases/7, where it leads, is saved as well" in printed
    shutil.rmtree(site)
    other.inv("restore", "--app", "shop", "--source", "files", "--yes")  # with a warning: all else is gone
    assert (site / "current").is_symlink()
    assert (site / "current" / "code").read_text() == "code 7"
    operator.done("backup", "--app", "shop", "--source", "files")


@pytest.mark.parametrize("pattern", ["!keep", "re:^/srv"])
def test_a_pattern_that_never_matches_is_refused_with_its_line(
    operator: Operator, tmp_path: Path, pattern: str
) -> None:
    other = operator.copy(tmp_path / "inventory")
    other.change("apps/shop.yml", lambda app: app["files"].update(exclude=[pattern]))
    end = other.inv("backup")
    assert (end.returncode, "apps/shop.yml:" in end.stderr, "files.exclude[0]" in end.stderr) == (2, True, True)

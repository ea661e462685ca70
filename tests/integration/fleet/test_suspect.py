"""Most of an app's files are gone one night: it is seen at once, everywhere, until a person accepts it or they are back."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.lab import Lab
from tests.integration.fleet.support import Operator
from tests.integration.fleet.test_faults import line_of

NIGHTS = 3  # until the loss of nearly everything is suspect
FILES = ("--app", "shop", "--source", "files")


@pytest.fixture(scope="module")
def shrunk(lab: Lab, saved: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[tuple[Path, Path]]]:
    """Take most of the files away, once there is some history; bring them back at the end."""
    operator = Operator(lab.inventory)
    for _ in range(NIGHTS):
        operator.done("backup", *FILES)
    away, moved = tmp_path_factory.mktemp("away"), []
    every = sorted(file for file in lab.apps["shop"].files.rglob("*") if file.is_file() and not file.is_symlink())
    for number, file in enumerate(every[len(every) // 20 :]):
        moved.append((file, file.rename(away / str(number))))
    yield moved
    for file, elsewhere in moved:
        if elsewhere.exists():
            elsewhere.rename(file)


def test_a_loss_is_suspect_the_same_night_until_it_is_accepted(
    lab: Lab, operator: Operator, shrunk: list[tuple[Path, Path]]
) -> None:
    good = operator.report()["shop", "files"]
    end = operator.inv("backup", *FILES)

    assert end.returncode == 3
    assert line_of(end.stdout, "shop", "files").split()[2] == "suspect"
    assert "are usual" in end.stdout
    row = operator.report()["shop", "files"]
    assert (row["status"], row["last_good"], row["incomplete"]) == ("suspect", good["last"], {"count": 0, "first": []})
    assert "are usual" in row["suspect"]
    assert operator.inv("report", "--strict", "--app", "shop").returncode == 3
    assert 'cloudbackup_status="suspect",source="files",storage="box"} 1.0' in operator.done(
        "report", "--app", "shop", "--format", "prometheus"
    )
    assert operator.inv("backup", *FILES).returncode == 3  # the loss does not become usual

    unasked = operator.inv("report.accept", "--app", "shop", "--reason", "moved away")
    assert unasked.returncode == 2
    assert "--yes" in unasked.stderr
    for words, why in (
        (("--app", "shop", "--reason", " "), "--reason needs a value"),
        (("--app", "shop"), "--reason is missing"),
        (("--app", "shp", "--reason", "x"), "did you mean shop"),
        (("--app", "shop", "--source", "file", "--reason", "x"), "did you mean files"),
        (("--app", "shop", "--storage", "bax", "--reason", "x"), "did you mean box"),
    ):
        refused = operator.inv("report.accept", *words, "--yes")
        assert refused.returncode == 2, words
        assert why in refused.stderr
    assert operator.report()["shop", "files"]["status"] == "suspect"

    printed = operator.done("report.accept", *FILES, "--reason", "moved to the new disk", "--yes")
    row = operator.report()["shop", "files"]
    assert f"accepted  {row['archive']}" in printed
    assert (row["status"], row["last_good"]) == ("ok", row["last"])
    assert row["verdict_accepted"]["reason"] == "moved to the new disk"
    assert "moved to the new disk" in operator.done("report.history", "--app", "shop", "--action", "accept")
    assert "nothing to accept" in operator.done("report.accept", *FILES, "--reason", "again", "--yes")
    assert operator.inv("backup", *FILES).returncode == 0  # what was accepted is the new usual
    assert (
        json.loads(operator.done("report", "--app", "shop", "--format", "json"))["apps"][0]["verdict_accepted"] is None
    )


def test_files_that_came_back_are_no_alarm(operator: Operator, shrunk: list[tuple[Path, Path]]) -> None:
    for file, elsewhere in shrunk:
        elsewhere.rename(file)

    assert line_of(operator.done("backup", *FILES), "shop", "files").split()[2] == "ok"


def test_a_folder_that_became_a_file_is_suspect(operator: Operator, shrunk: object, tmp_path: Path) -> None:
    settings, other = tmp_path / "settings", operator.copy(tmp_path / "inventory")
    settings.mkdir()
    (settings / "main").write_text("colour: green")
    other.change("apps/shop.yml", lambda app: app["files"]["paths"].append(str(settings)))
    other.done("backup", *FILES)
    settings.rename(tmp_path / "moved")
    settings.write_text("colour: green")

    end = other.inv("backup", *FILES)

    assert end.returncode == 3
    assert f"{settings} is a file, and was a folder in shop-files-" in end.stdout
    assert other.report()["shop", "files"]["status"] == "suspect"
    settings.unlink()
    (tmp_path / "moved").rename(settings)
    assert line_of(other.done("backup", *FILES), "shop", "files").split()[2] == "ok"

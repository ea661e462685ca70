"""What a drill asks of files that are known: a backup of files that somebody encrypted proves nothing."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from tasks.remote.own_root import NoWallsError
from tests.integration.fleet.support import Operator
from tests.integration.local import after_the_newest_archive, local_inventory, records


@pytest.fixture
def fleet(tmp_path: Path) -> Operator:
    operator = Operator(local_inventory(tmp_path, tmp_path / "fault"))
    (tmp_path / "data" / "canary.txt").write_text("sings")
    (tmp_path / "data" / "folder").mkdir()
    (tmp_path / "data" / "folder" / "app.ini").write_text("db=shop\n")
    operator.done("borg.init", "--app", "shop")
    operator.done("backup", "--app", "shop")
    return operator


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


def ask(fleet: Operator, **verify: Any) -> None:
    fleet.change("apps/shop.yml", lambda app: app["files"].update(verify=verify))


def known(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_a_known_file_that_was_encrypted_fails_the_drill_by_name(
    fleet: Operator, tmp_path: Path, scratch: Path
) -> None:
    canary = tmp_path / "data" / "canary.txt"
    ask(fleet, sha256={str(canary): known("sings")})
    printed = fleet.done("verify", "--app", "shop", "--scratch", str(scratch))
    assert "1 known file as known" in printed
    proven = fleet.report()["shop", "files"]["proven"]
    canary.write_text("sgnis")  # the same length
    after_the_newest_archive(tmp_path)
    fleet.done("backup", "--app", "shop")
    end = fleet.inv("verify", "--app", "shop", "--scratch", str(scratch))
    assert end.returncode == 4
    assert f"{canary} is not what is known of it: SHA-256 {known('sgnis')}, not {known('sings')}" in end.stdout
    assert records(tmp_path, "verify")[-1]["outcome"] == "failed"
    assert str(canary) in records(tmp_path, "verify")[-1]["error"]
    row = fleet.report()["shop", "files"]
    assert (row["status"], row["proven"]) == ("failed", proven)
    assert str(canary) in row["error"]
    assert list(scratch.iterdir()) == []


def test_commands_judge_restored_files_behind_walls(fleet: Operator, tmp_path: Path, scratch: Path) -> None:
    folder = str(tmp_path / "data" / "folder")
    check = 'test -z "${BORG_PASSPHRASE-}" && test "$PWD" = "$CLOUDBACKUP_RESTORED" && grep -q db=shop "${0#/}/app.ini"'
    ask(fleet, paths=[folder], commands=[["sh", "-c", check, folder], ["test", "!", "-e", str(tmp_path / "secret")]])
    printed = fleet.done("verify", "--app", "shop", "--scratch", str(scratch))
    assert "2 commands of `verify` content, behind walls (" in printed
    assert records(tmp_path, "verify")[-1]["details"]["commands"] == 2
    assert "network namespace" in records(tmp_path, "verify")[-1]["details"]["walls"]
    ask(fleet, paths=[folder], commands=[["sh", "-c", "echo 'is a ruin' >&2; exit 7"]])
    end = fleet.inv("verify", "--app", "shop", "--scratch", str(scratch))
    assert end.returncode == 4
    assert "exit 7' ended with 7: is a ruin" in end.stdout.replace("`", "")
    assert fleet.report()["shop", "files"]["status"] == "failed"
    assert list(scratch.iterdir()) == []


def test_a_command_that_does_not_end_is_ended(
    fleet: Operator, tmp_path: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.borg.canary.PATIENCE", 0.5)
    ask(fleet, paths=[str(tmp_path / "data" / "folder")], commands=[["sleep", "1000"]])
    end = fleet.inv("verify", "--app", "shop", "--scratch", str(scratch))
    assert end.returncode == 4
    assert "`sleep 1000` took more than" in end.stdout
    assert list(scratch.iterdir()) == []


def test_without_walls_commands_are_refused(
    fleet: Operator, tmp_path: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(fleet, paths=[str(tmp_path / "data" / "folder")], commands=[["true"]])
    for part, function in (("own_root", "unshare(kinds)"), ("confinement", "require()")):
        text = (Path(__file__).parents[3] / f"tasks/remote/{part}.py").read_text()
        broken = tmp_path / f"{part}.py"
        broken.write_text(text + f"\n\ndef {function}:\n    raise {NoWallsError.__name__}('it is forbidden')\n")
        monkeypatch.setattr(f"tasks.remote.{part}.__file__", str(broken))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    words = ("verify", "--app", "shop", "--scratch", str(scratch))
    end = fleet.inv(*words)
    assert end.returncode == 5
    assert "no walls can be built for what comes out of the archive: it is forbidden" in end.stdout
    assert records(tmp_path, "verify") == []
    assert "1 command of `verify` content, without walls" in fleet.done(*words, "--trust-archive")


@pytest.mark.parametrize("name", ["gone", "link", "folder"])
def test_what_is_no_file_of_the_archive_is_not_known(fleet: Operator, tmp_path: Path, scratch: Path, name: str) -> None:
    (tmp_path / "data" / "link").symlink_to("canary.txt")
    after_the_newest_archive(tmp_path)
    fleet.done("backup", "--app", "shop")
    ask(fleet, sha256={str(tmp_path / "data" / name): known("sings")})
    end = fleet.inv("verify", "--app", "shop", "--scratch", str(scratch))
    assert end.returncode == 4
    assert str(tmp_path / "data" / name) in end.stdout
    assert list(scratch.iterdir()) == []


def test_a_share_of_all_files_is_read(fleet: Operator, tmp_path: Path) -> None:
    for number in range(300):
        (tmp_path / "data" / f"more-{number}").write_text(f"{number}")
    after_the_newest_archive(tmp_path)
    fleet.inv("backup", "--app", "shop")
    for _ in range(2):
        fleet.done("verify", "--app", "shop", "--sample", "50%")
    assert [each["details"]["read_share"] for each in records(tmp_path, "verify")][-1] == 1
    assert 100 < records(tmp_path, "verify")[0]["details"]["files_read"] < 220
    assert "50 % of all files read within 90 days" in fleet.done("report.history", "--app", "shop")
    for wrong in ("0%", "101%", "half", "5%%", "%"):
        assert fleet.inv("verify", "--app", "shop", "--sample", wrong).returncode == 2

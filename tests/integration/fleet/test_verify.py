"""Drills over the fleet: what is proven stands in the report, what is not is a failed row until a later drill succeeds."""

import json
import os
import re
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import yaml

from lab.lab import Lab
from tasks.mariadb import mariadb_source
from tasks.remote.running import Running
from tasks.remote.script import Script
from tasks.remote.ssh import SshHost
from tests.integration.fleet.support import Operator, command_lines, eventually, interrupt
from tests.segments import entries


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A folder for the copies of databases; nothing may be left in it."""
    with tempfile.TemporaryDirectory(prefix="cb-drill-", dir="/tmp") as name:
        path = Path(name)
        path.chmod(0o755)
        yield path
        assert list(path.iterdir()) == []


def records(lab: Lab, app: str) -> list[dict[str, Any]]:
    """Return the records of an app's drills, oldest first."""
    folder = lab.box.home() / "cloudbackup" / "records" / app
    return [json.loads(file.read_text()) for file in sorted(folder.glob("*-verify-*.json"))]


@contextmanager
def flipped_byte(lab: Lab, app: str) -> Iterator[None]:
    """Change one byte in each large entry of each large segment of an app's repository."""
    segments = [
        path for path in (lab.box.home() / "cloudbackup" / app / "data").rglob("*")
        if path.is_file() and path.stat().st_size > 100_000
    ]  # fmt: skip
    assert segments
    for segment in segments:
        flip(segment)
    yield
    for segment in segments:
        flip(segment)


def flip(segment: Path) -> None:
    found = [start + size // 2 for start, size in entries(segment) if size > 5_000]
    with segment.open("r+b") as content:
        for place in found:
            content.seek(place)
            byte = content.read(1)[0]
            content.seek(-1, os.SEEK_CUR)
            content.write(bytes([byte ^ 1]))


def line_of(printed: str, app: str, source: str) -> str:
    return next(line for line in printed.splitlines() if line.split()[:2] == [app, source])


def test_a_wrong_answer_and_flipped_bytes_are_failed_rows_until_a_drill_succeeds(
    lab: Lab, operator: Operator, all_well: None, scratch: Path, tmp_path: Path
) -> None:
    other = operator.copy(tmp_path / "inventory")
    wrong = "SELECT COUNT(*) FROM shop.vanished"
    other.change("apps/shop.yml", lambda app: app["mariadb"].update(verify=[wrong]))
    with flipped_byte(lab, "blog"):
        end = other.inv("verify", "--all", "--scratch", str(scratch))
    assert end.returncode == 3, end.stdout
    assert "Traceback" not in end.stdout + end.stderr
    assert line_of(end.stdout, "shop", "files").split()[2] == "ok"
    words = next(line for line in end.stdout.splitlines() if "files read" in line).split()
    assert words[0] == words[2] != "0"
    assert f"`{wrong}` fails" in line_of(end.stdout, "shop", "mariadb")
    for source in ("files", "mariadb"):
        assert line_of(end.stdout, "blog", source).split()[2] == "failed"
    rows = operator.report()
    failed = {key for key, row in rows.items() if row["status"] == "failed"}
    assert failed == {("shop", "mariadb"), ("blog", "files"), ("blog", "mariadb")}
    assert "vanished" in rows["shop", "mariadb"]["error"]


def test_an_archive_of_another_release_series_is_refused_by_what_its_comment_says(
    operator: Operator, saved: str, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = mariadb_source.version
    older = lambda repository, archive: re.sub(r"^\d+\.\d+\.", "10.6.", real(repository, archive))  # noqa: E731
    monkeypatch.setattr(mariadb_source, "version", older)
    end = operator.inv("mariadb.verify", "--app", "blog", "--scratch", str(scratch))
    assert end.returncode == 4
    assert "the backup is of MariaDB 10.6, the server program there is of" in end.stdout
    end = operator.inv("mariadb.restore", "--app", "blog", "--target", str(scratch / "new"))
    assert end.returncode == 4
    assert "the backup is of MariaDB 10.6, mariadb-backup there is of" in end.stdout


def test_a_drill_of_all_proves_all(lab: Lab, operator: Operator, saved: str, scratch: Path) -> None:
    printed = operator.done("verify", "--scratch", str(scratch), "--sample", "3")
    assert "4 of 4 proven in" in printed
    assert "3 of" in printed
    assert "tables sound, 1 query answered" in printed
    rows = operator.report()
    assert all(row["proven"] and (row["status"], row["error"]) == ("ok", None) for row in rows.values())
    newest = {record["source"]: record for record in records(lab, "shop")}
    assert newest["mariadb"]["archive"] == rows["shop", "mariadb"]["archive"]
    assert newest["mariadb"]["archive_id"]
    assert newest["mariadb"]["outcome"] == "ok"
    assert "error" not in newest["mariadb"]
    details = newest["mariadb"]["details"]
    assert details["tables"] > 30
    assert details["restore_seconds"] > 0
    assert details["where"] == newest["files"]["details"]["where"] != "local"
    assert newest["files"]["details"]["files_read"] == 3


def test_a_named_archive_is_proven_on_the_operators_machine_when_the_apps_host_is_gone(
    lab: Lab, operator: Operator, saved: str, scratch: Path, tmp_path: Path
) -> None:
    other = operator.copy(tmp_path / "inventory")
    other.change("apps/blog.yml", lambda app: app["ssh"].update(port=1))
    name = next(name for name in operator.archives("blog") if "-mariadb-" in name)
    printed = other.done("verify", "--archive", name, "--to", "local", "--scratch", str(scratch))
    assert name in line_of(printed, "blog", "mariadb")
    assert "1 of 1 proven" in printed
    assert records(lab, "blog")[-1]["details"]["where"] == "local"


def test_another_apps_host_drills_with_neither_passphrase_nor_key_and_leaves_its_own_server_alone(
    lab: Lab, operator: Operator, saved: str, scratch: Path, tmp_path: Path
) -> None:
    other = operator.copy(tmp_path / "inventory")
    other.change("apps/blog.yml", lambda app: app.update(host="root@gone.example.org"))
    with flipped_byte(lab, "blog"):
        end = other.inv("mariadb.verify", "--app", "blog", "--to", "shop", "--scratch", str(scratch))
    assert end.returncode == 4
    assert "damaged" in line_of(end.stdout, "blog", "mariadb")
    own = lab.apps["shop"].server.pid_file.read_text()
    scripts: list[str] = []
    start = SshHost.start

    def seen(host: SshHost, script: Script, *more: Any) -> Running:
        scripts.append(script.body + "".join(script.environment))
        return start(host, script, *more)

    with mock.patch.object(SshHost, "start", seen):
        printed = other.done("verify", "--app", "blog", "--to", "shop", "--scratch", str(scratch), "--sample", "1")
    assert "2 of 2 proven" in printed
    assert "1 query answered" in printed
    newest = {record["source"]: record.get("details", {}).get("where") for record in records(lab, "blog")}
    assert newest == {
        "files": "local",
        "mariadb": yaml.safe_load((other.inventory / "apps/shop.yml").read_text())["host"],
    }
    assert scripts
    assert not [text for text in scripts if "BORG_" in text or "borg" in text]
    assert lab.apps["shop"].server.pid_file.read_text() == own


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--source", "binlog"), "no source `binlog`"),
        (("--to", "moon"), "--to moon"),
        (("--archive", "before-upgrade"), "does not say of which app"),
        (("--app", "shop", "--archive", "blog-files-2026-11-22T03-00-00"), "is an archive of files of blog"),
        (("--scratch", "relative"), "must begin with /"),
        (("--sample=-1",), "neither a number of files nor a share"),
    ],
)
def test_wrong_usage_exits_with_2(operator: Operator, words: tuple[str, ...], says: str) -> None:
    end = operator.inv("verify", *words)
    assert end.returncode == 2, end.stderr
    assert says in end.stderr


@pytest.mark.parametrize("ending", ["interrupted", "killed"])
def test_a_lost_operator_leaves_no_process_and_no_copy(
    ending: str, operator: Operator, saved: str, scratch: Path, tmp_path: Path
) -> None:
    other = operator.copy(tmp_path / "inventory")
    other.change("apps/shop.yml", lambda app: app["mariadb"].update(verify=["SELECT SLEEP(600)"]))
    running = other.start("mariadb.verify", "--app", "shop", "--scratch", str(scratch))

    def of_the_drill(*parts: str) -> list[str]:
        lines = [line for pid, line in command_lines() if pid != running.pid]
        return [line for line in lines if str(scratch) in line and all(part in line for part in parts)]

    serves: Callable[[], bool] = lambda: bool(of_the_drill("mariadbd --no-defaults", "--skip-networking"))  # noqa: E731
    assert eventually(serves, 60)
    if ending == "interrupted":
        printed = interrupt(running)
        assert running.returncode == 130, printed
    else:
        os.killpg(running.pid, signal.SIGKILL)
        running.communicate()
    assert eventually(lambda: not of_the_drill())
    assert eventually(lambda: not list(scratch.iterdir()))

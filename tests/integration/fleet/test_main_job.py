"""The main job: saved, shown, restored, equal."""

import json
import re
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

from lab import database, mariadb, tree
from lab.lab import Lab
from tests.integration.fleet.support import Operator

ROW = {"app", "host", "storage", "source", "status", "archive", "last", "age_seconds", "archives", "size", "stored"}
ROW |= {"duration_seconds", "proven", "recoverable_until", "error"}
ROW |= {"last_good", "incomplete", "suspect", "verdict_accepted", "read_share", "other_archives", "paused"}


def test_a_line_for_each_source_and_a_summary(saved: str) -> None:
    lines = saved.splitlines()
    heads = sorted(tuple(line.split()[:3]) for line in lines[:-1])
    assert heads == [(app, source, "ok") for app in ("blog", "shop") for source in ("files", "mariadb")]
    assert re.fullmatch(r"4 of 4 saved in \d+:\d\d", lines[-1])


def test_sources_of_an_app_run_one_after_the_other_and_apps_side_by_side(lab: Lab, saved: str) -> None:
    def spans(app: str) -> list[tuple[datetime, datetime]]:
        """Return when the first two archives were begun and done; a record's time is in whole seconds."""
        files = sorted((lab.box.home() / "cloudbackup/records" / app).glob("*-backup-*.json"))
        records = [json.loads(file.read_text()) for file in files]
        begun = [(datetime.fromisoformat(each["time"]), each["duration_seconds"]) for each in records]
        return sorted((start, start + timedelta(seconds=seconds)) for start, seconds in begun)[:2]

    shop, blog = spans("shop"), spans("blog")
    for first, second in (shop, blog):
        assert second[0] + timedelta(seconds=1) > first[1]
    assert max(shop[0][0], blog[0][0]) < min(shop[1][1], blog[1][1])


def test_restored_files_equal_saved_files(lab: Lab, operator: Operator, saved: str, tmp_path: Path) -> None:
    app = lab.apps["shop"]
    before = tree.fingerprint(app.files, excluding_caches=True)
    operator.done("backup", "--app", "shop", "--source", "files")
    app.change(seed=7)
    assert tree.fingerprint(app.files, excluding_caches=True) != before
    operator.done("restore", "--app", "shop", "--source", "files", "--target", str(tmp_path / "r"))
    restored = tmp_path / "r" / str(app.files).lstrip("/")
    assert tree.differences(before, tree.fingerprint(restored, excluding_caches=True)) == []


def test_restored_rows_equal_saved_rows(lab: Lab, operator: Operator, saved: str) -> None:
    app = lab.apps["blog"]
    before = database.fingerprint(app.server)
    operator.done("mariadb.backup", "--app", "blog")
    database.change(app.server, seed=9)
    assert database.fingerprint(app.server) != before
    target = lab.folder / "restored-rows"
    try:
        operator.done("mariadb.restore", "--app", "blog", "--target", str(target))
        with mariadb.serving(target) as server:
            assert tree.differences(before, database.fingerprint(server, "blog")) == []
    finally:
        shutil.rmtree(target, ignore_errors=True)


def test_everything_comes_back_in_place_and_the_old_is_kept(lab: Lab, operator: Operator, saved: str) -> None:
    app = lab.apps["shop"]
    files, rows = tree.fingerprint(app.files, excluding_caches=True), database.fingerprint(app.server)
    operator.done("backup", "--app", "shop")
    app.change(seed=11)
    changed = tree.fingerprint(app.files)
    printed = operator.done("restore", "--app", "shop", "--yes")
    assert tree.differences(files, tree.fingerprint(app.files, excluding_caches=True)) == []
    assert tree.differences(rows, database.fingerprint(app.server)) == []
    kept = Path(next(re.finditer(r"what was there is in (\S+before-restore\S+)", printed)).group(1))
    assert tree.differences(changed, tree.fingerprint(kept)) == []


def test_a_named_archive_comes_back_on_the_operators_machine(operator: Operator, saved: str, tmp_path: Path) -> None:
    first = operator.archives("blog")[0]
    target = tmp_path / "here"
    operator.done("restore", "--app", "blog", "--archive", first, "--to", "local", "--target", str(target))
    assert any(target.rglob("CACHEDIR.TAG"))


def test_paths_with_odd_names_are_saved(operator: Operator, saved: str, tmp_path: Path) -> None:
    odd = tmp_path / 'it\'s $(touch owned) "quoted" *ü'
    odd.mkdir()
    (odd / "file").write_text("precious")
    other = operator.copy(tmp_path / "inventory")
    other.change("apps/shop.yml", lambda app: app["files"].update(paths=[str(odd)]))
    assert " suspect " in other.inv("backup", "--app", "shop", "--source", "files").stdout  # all else is gone
    other.inv("restore", "--app", "shop", "--source", "files", "--target", str(tmp_path / "restored"))
    operator.done("backup", "--app", "shop", "--source", "files")
    assert (tmp_path / "restored" / str(odd).lstrip("/") / "file").read_text() == "precious"
    assert not list(tmp_path.rglob("owned"))


def test_one_connection_to_a_host_for_a_run(lab: Lab, operator: Operator, saved: str) -> None:
    def logins() -> int:
        return lab.apps["blog"].paths.log.read_text(errors="replace").count("Accepted publickey")

    before = logins()
    operator.done("backup", "--app", "blog")
    assert logins() - before == 1


def test_the_report_has_a_row_for_each_app_and_source(operator: Operator, all_well: None) -> None:
    values = json.loads(operator.done("report", "--format", "json"))
    assert set(values) == {"version", "tool", "generated", "apps", "storages"}
    assert values["version"] == 1
    assert [set(row) for row in values["apps"]] == [ROW] * 4
    for row in values["apps"]:
        assert row["archive"].startswith(f"{row['app']}-{row['source']}-")
        assert row["size"] > 0
        assert row["status"] == "ok", row["error"]
    assert [set(row) for row in values["storages"]] == [{"storage", "kind", "used", "size", "error"}]
    assert values["storages"][0]["used"] > 0


def test_the_table_reads_like_the_report(operator: Operator, all_well: None) -> None:
    lines = operator.done("report").splitlines()
    assert lines[0].split()[:3] == ["app", "source", "status"]
    assert [line.split()[:3] for line in lines[1:5]] == [
        [app, source, "ok"] for app in ("blog", "shop") for source in ("files", "mariadb")
    ]
    assert lines[5].startswith("box: ")


def test_all_that_is_needed_is_checked(operator: Operator, saved: str) -> None:
    printed = operator.done("app.check")
    assert "2 of 2 apps ready" in printed
    names = {line.split()[2] for line in printed.splitlines() if line.startswith("shop")}
    assert names == {
        "host",
        "memory",
        "borg",
        "files",
        "python3",
        "ssh",
        "mariadb",
        "storage",
        "repository",
        "records",
        "key",
    }
    assert re.search(r"the database is saved in chunks of 16 KiB, for which borg takes \d+ [kM]B of memory", printed)


def test_another_chunk_size_is_what_the_inventory_says_and_the_check_tells_what_it_costs(
    operator: Operator, saved: str, tmp_path: Path
) -> None:
    other = operator.copy(tmp_path / "inventory")
    other.change("apps/shop.yml", lambda app: app["mariadb"].update(chunk_size="64KiB"))
    script = other.done("mariadb.backup", "--app", "shop", "--dry-run", "--verbose")
    assert "--chunker-params=fixed,65536 " in script
    assert re.search(r"(?s)python3 -I -S -c .*?\W65536\W", script)
    assert "chunks=65536" in script
    printed = other.done("app.check", "--app", "shop")
    assert "saved in chunks of 16 KiB, the inventory says 64 KiB: the next backup stores everything again" in printed


def test_a_moment_of_an_app_without_saved_binary_logs_is_refused_with_the_reason(
    operator: Operator, saved: str, tmp_path: Path
) -> None:
    target = tmp_path / "moment"
    moment = ("--at", "2026-11-22 14:03:00", "--target", str(target))
    end = operator.inv("restore", "--app", "shop", "--source", "mariadb", *moment)
    assert end.returncode == 5
    assert "shop: binary logs are not saved, so there are whole backups and no moment between" in end.stderr
    assert "`binlog: true` in the inventory saves them from now on" in end.stderr
    other = operator.copy(tmp_path / "inventory")
    other.change("apps/shop.yml", lambda app: app["mariadb"].update(binlog=True))
    now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    end = other.inv("mariadb.restore", "--app", "shop", "--at", now, "--target", str(target))
    assert end.returncode == 5
    assert re.search(
        r"shop: no binary logs were saved since shop-mariadb-\S+\n.*`inv mariadb.binlog --app shop`", end.stderr
    )
    assert not target.exists()


def test_a_small_change_adds_little(lab: Lab, operator: Operator, saved: str) -> None:
    operator.done("mariadb.backup", "--app", "shop")
    lab.apps["shop"].change(seed=13)
    operator.done("mariadb.backup", "--app", "shop")
    row = operator.report("--app", "shop")["shop", "mariadb"]
    assert row["stored"] < row["size"] / 20

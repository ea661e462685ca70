"""A backup in place of a real server's data, and everything back as it was when that fails at any step."""

import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab import database, mariadb
from tasks.errors import CloudbackupError, InterruptedRunError, RefusedError, UsageError
from tasks.mariadb import dump, errors, restore, server, unpack
from tasks.mariadb.restore import RestoreRequest
from tasks.remote.host import LocalHost
from tasks.remote.script import Script, Stream, quote
from tests.integration.mariadb.conftest import Running, make


@pytest.fixture
def backup(own_shop: Running, host: LocalHost, tmp_path: Path) -> Stream:
    """A backup's stream in a file."""
    return saved(own_shop, host, tmp_path / "backup")


def saved(running: Running, host: LocalHost, file: Path, **changes: object) -> Stream:
    access = running.access(**changes)
    tools = server.ask(host, access).tools
    content = dump.dump(access, tools, dump.DumpOptions(16384, checkpoint=False))
    made = host.run(Script(f"({content.body}) | tar -xBOf - > {quote((str(file),))}", content.environment))
    assert made.ok, made.error_text
    return Stream(quote(("cat", str(file))))


@dataclass
class Taken:
    """Bytes on disk, beyond what there was before: at most, and at the end."""

    most: int = 0
    end: int = 0


@contextmanager
def disk(folder: Path) -> Iterator[Taken]:
    """See what is taken below a folder while the block runs."""
    taken, ended = Taken(), threading.Event()
    before = on_disk(folder)

    def watch() -> None:
        while not ended.wait(0.01):
            taken.most = max(taken.most, on_disk(folder) - before)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield taken
    finally:
        ended.set()
        watcher.join()
    taken.end = on_disk(folder) - before
    taken.most = max(taken.most, taken.end)


def data_alone(taken: Taken) -> bool:
    """Tell whether a second copy was never on the disk, which would double what is there at the end.

    What InnoDB makes for itself while it prepares comes on top: 21 MB beside 83 MB with MariaDB 11.8.9.
    """
    return 12_000_000 < taken.end <= taken.most < 1.5 * taken.end


def on_disk(folder: Path) -> int:
    found = 0
    for place, _, files in os.walk(folder):
        for name in files:
            with suppress(FileNotFoundError):
                found += (Path(place) / name).lstat().st_blocks * 512
    return found


def leftovers(running: Running) -> list[str]:
    folder = running.server.datadir
    return [path.name for place in (folder, folder.parent) for path in place.iterdir() if "restor" in path.name]


def test_the_old_rows_are_back_and_the_new_ones_kept_aside(own_shop: Running, host: LocalHost, backup: Stream) -> None:
    before = own_shop.fingerprint()
    database.change(own_shop.server)
    changed = own_shop.fingerprint()
    datadir = own_shop.server.datadir
    (datadir / "debian-10.11.flag").touch()
    owner, mode = datadir.stat().st_uid, datadir.stat().st_mode
    with disk(own_shop.server.folder) as taken:
        placed = restore.in_place(host, own_shop.access(), RestoreRequest(backup))
    assert own_shop.fingerprint() == before != changed
    assert data_alone(taken)
    assert (datadir.stat().st_uid, datadir.stat().st_mode) == (owner, mode)
    assert (datadir / "debian-10.11.flag").exists()
    assert {file.stat().st_uid for file in datadir.rglob("*") if file.suffix != ".flag"} == {owner}
    assert leftovers(own_shop) == [Path(placed.old).name]
    assert (Path(placed.old) / "binlog.000001").exists()
    own_shop.stop()
    with mariadb.serving(Path(placed.old)) as old:
        assert database.fingerprint(old, "shop") == changed
    own_shop.start()


def test_a_server_that_is_down_and_broken_is_restored(own_shop: Running, host: LocalHost, backup: Stream) -> None:
    before = own_shop.fingerprint()
    own_shop.stop()
    (own_shop.server.datadir / "ibdata1").write_bytes(b"broken")
    restore.in_place(host, own_shop.access(datadir=str(own_shop.server.datadir)), RestoreRequest(backup))
    assert own_shop.fingerprint() == before


def test_a_datadir_behind_a_symlink_has_its_contents_moved(own_shop: Running, host: LocalHost, tmp_path: Path) -> None:
    datadir, real = own_shop.server.datadir, own_shop.server.folder / "elsewhere"
    own_shop.stop()
    datadir.rename(real)
    datadir.symlink_to(real)
    own_shop.start()
    check_within(own_shop, host, tmp_path)
    assert datadir.is_symlink()


@pytest.mark.usefixtures("needs_root")
def test_a_datadir_that_is_a_mount_point_has_its_contents_moved(
    own_shop: Running, host: LocalHost, tmp_path: Path
) -> None:
    datadir, real = own_shop.server.datadir, own_shop.server.folder / "volume"
    own_shop.stop()
    datadir.rename(real)
    datadir.mkdir()
    subprocess.run(("mount", "--bind", real, datadir), check=True)
    try:
        own_shop.start()
        check_within(own_shop, host, tmp_path)
    finally:
        own_shop.stop()
        subprocess.run(("umount", datadir), check=True)
    datadir.rmdir()
    real.rename(datadir)
    own_shop.start()


def check_within(running: Running, host: LocalHost, folder: Path) -> None:
    """Restore where staging and old data lie inside the data directory; a later backup leaves both out."""
    before = running.fingerprint()
    backup = saved(running, host, folder / "first")
    database.change(running.server)
    placed = restore.in_place(host, running.access(), RestoreRequest(backup))
    assert running.fingerprint() == before
    assert Path(placed.old).parent == running.server.datadir
    assert any("lists it as a database" in remark for remark in placed.remarks)
    saved(running, host, folder / "second")
    assert b"before-restore" not in (folder / "second").read_bytes()


def test_a_running_server_does_not_mind_the_directory_in_which_its_backup_is_prepared(
    own_shop: Running, host: LocalHost, backup: Stream
) -> None:
    staging = own_shop.server.datadir / ".restoring-2026-11-22T03-00-00"
    before = own_shop.fingerprint()
    unpack.to_directory(host, backup, str(staging))
    assert own_shop.fingerprint() == before
    mariadb.query(own_shop.server, "CREATE DATABASE further; DROP DATABASE further; FLUSH TABLES")
    own_shop.stop()
    own_shop.start()
    assert own_shop.fingerprint() == before
    shutil.rmtree(staging)


def test_through_exec_the_tools_run_in_the_databases_own_namespace(
    own_shop: Running, host: LocalHost, tmp_path: Path
) -> None:
    """The server sees its volume at another path than the host does, as in a container."""
    datadir, volume = own_shop.server.datadir, own_shop.server.folder / "volume"
    own_shop.stop()
    datadir.parent.rename(volume)
    datadir.parent.mkdir()
    enter = f'mount --bind {volume} {datadir.parent} && exec "$@"'
    prefix = ["unshare", "-m" if os.geteuid() == 0 else "-rm", "sh", "-c", enter, "-"]
    start = [*prefix, str(own_shop.home / "start-mariadb")]
    subprocess.run(start, check=True)
    inside = {"exec": prefix, "datadir": str(volume / "mysql"), "start": start}
    try:
        before = own_shop.fingerprint()
        content = saved(own_shop, host, tmp_path / "backup", **inside)
        database.change(own_shop.server)
        with pytest.raises(UsageError, match="must be said"):
            restore.in_place(host, own_shop.access(**inside | {"datadir": None}), RestoreRequest(content))
        placed = restore.in_place(host, own_shop.access(**inside), RestoreRequest(content))
        assert own_shop.fingerprint() == before
        assert Path(placed.old).parent == volume / "mysql"
    finally:
        own_shop.stop()
        datadir.parent.rmdir()
        volume.rename(datadir.parent)
        own_shop.start()


@pytest.mark.parametrize("fault", ["start fails", "server does not answer", "stop fails", "stop does nothing"])
def test_when_the_swap_fails_the_old_data_serves_again(
    fault: str, own_shop: Running, host: LocalHost, backup: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restore, "PATIENCE", 3)
    database.change(own_shop.server)
    before = own_shop.fingerprint()
    start, stop = str(own_shop.home / "start-mariadb"), str(own_shop.home / "stop-mariadb")
    once = own_shop.home / "once"  # the first start fails, the one that puts all back does not
    first = f"[ -e {once} ] && exec {start}; touch {once};"
    changes = {
        "start fails": {"start": ["bash", "-c", f"{first} {start}; exit 7"]},
        "server does not answer": {"start": ["bash", "-c", f"{first} exit 0"]},
        "stop fails": {"stop": ["false"]},
        "stop does nothing": {"stop": ["true"]},
    }[fault]
    with pytest.raises(CloudbackupError, match="the restore failed") as caught:
        restore.in_place(
            host,
            own_shop.access(stop=changes.get("stop", [stop]), start=changes.get("start", [start])),
            RestoreRequest(backup),
        )
    assert "nothing has changed" in caught.value.remedy
    assert own_shop.fingerprint() == before
    assert leftovers(own_shop) == []


def test_an_operator_lost_in_the_swap_leaves_the_old_data_serving(
    own_shop: Running, host: LocalHost, backup: Stream
) -> None:
    database.change(own_shop.server)
    before = own_shop.fingerprint()
    reached, start = own_shop.home / "reached", own_shop.home / "start-mariadb"
    waits = ["bash", "-c", f"[ -e {reached} ] && exec {start}; touch {reached}; sleep 600"]
    access = own_shop.access(start=waits)
    failed: list[BaseException] = []

    def run() -> None:
        try:
            restore.in_place(host, access, RestoreRequest(backup))
        except (CloudbackupError, InterruptedRunError) as error:
            failed.append(error)

    runner = threading.Thread(target=run, daemon=True)
    runner.start()
    deadline = time.monotonic() + 60
    while not reached.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    host.cancelled.set()
    runner.join(60)
    assert failed
    assert own_shop.fingerprint() == before
    assert leftovers(own_shop) == []


def test_data_elsewhere_is_refused_by_name_before_anything_changes(
    own_shop: Running, host: LocalHost, backup: Stream
) -> None:
    logs = own_shop.server.folder / "logs"
    logs.mkdir()
    shutil.chown(logs, own_shop.server.datadir.stat().st_uid)

    def refused(options: str) -> str:
        with own_shop.server.configuration.open("a") as configuration:
            configuration.write(options)
        own_shop.start()
        with pytest.raises(RefusedError) as caught:
            restore.in_place(host, own_shop.access(), RestoreRequest(backup))
        own_shop.stop()
        return caught.value.what

    own_shop.stop()
    said = refused(f"log_bin={logs}/binlog\naria_log_dir_path={logs}\n")
    assert f"aria_log_dir_path is {logs}, log_bin_basename is {logs}" in said
    for file in (*own_shop.server.datadir.glob("ib_logfile*"), *own_shop.server.datadir.glob("undo*")):
        file.rename(logs / file.name)
    said = refused(f"innodb_log_group_home_dir={logs}\ninnodb_undo_directory={logs}\n")
    assert f"innodb_log_group_home_dir is {logs}, innodb_undo_directory is {logs}" in said
    assert leftovers(own_shop) == []


def test_a_directory_with_something_in_it_and_a_disk_without_room_are_refused(
    shop: Running, host: LocalHost, tmp_path: Path
) -> None:
    content = saved(shop, host, tmp_path / "backup")
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "file").write_text("mine")
    with pytest.raises(UsageError, match="is not empty"):
        unpack.to_directory(host, content, str(taken))
    assert (taken / "file").read_text() == "mine"
    with pytest.raises(CloudbackupError, match="no room"):
        unpack.to_directory(host, content, str(tmp_path / "new"), size=10**18)
    assert not (tmp_path / "new").exists()
    with disk(tmp_path) as room:
        unpack.to_directory(host, content, str(tmp_path / "a dir $(with) 'odd' -name"))
    assert data_alone(room)


def test_a_table_with_a_directory_of_its_own_comes_into_the_new_directory(
    own_shop: Running, host: LocalHost, tmp_path: Path
) -> None:
    outside = own_shop.server.folder / "outside"
    outside.mkdir()
    shutil.chown(outside, own_shop.server.datadir.stat().st_uid)
    table = f"CREATE TABLE far (id INT PRIMARY KEY) DATA DIRECTORY='{outside}'"
    mariadb.query(own_shop.server, table, "shop")
    mariadb.query(own_shop.server, "INSERT INTO far SELECT seq FROM seq_1_to_1000", "shop")
    content = saved(own_shop, host, tmp_path / "backup")
    unpacked = unpack.to_directory(host, content, str(tmp_path / "new"))
    assert unpacked.links == ("shop/far.isl",)
    with mariadb.serving(tmp_path / "new") as copy:
        assert mariadb.query(copy, "SELECT COUNT(*) FROM far", "shop") == [["1000"]]
        opened = {str(link.readlink()) for link in Path(f"/proc/{_pid(copy)}/fd").iterdir()}
    assert str(tmp_path / "new/shop/far.ibd") in opened
    assert not [path for path in opened if str(outside) in path]


def _pid(copy: mariadb.Server) -> str:
    lines = subprocess.run(("pgrep", "-f", f"socket={copy.socket}"), capture_output=True, text=True, check=True)
    return lines.stdout.split()[0]


def test_a_stop_that_ends_another_server_is_undone_and_names_it(
    own_shop: Running, host: LocalHost, backup: Stream, filled: Path
) -> None:
    """Two servers on a host, and `stop` and `start` are those of the other one."""
    folder = Path(tempfile.mkdtemp(prefix="cb-", dir="/tmp"))
    other = make(folder, filled)
    try:
        its = other.access()
        access = own_shop.access(stop=list(its.database.stop), start=list(its.database.start))
        before = own_shop.fingerprint()
        with pytest.raises(
            errors.DatabaseError, match=f"ended another server, which `start` starts again.*{folder}"
        ) as caught:
            restore.in_place(host, access, RestoreRequest(backup))
        assert "nothing has changed" in caught.value.remedy
        assert other.fingerprint()
        assert own_shop.fingerprint() == before
    finally:
        other.remove()

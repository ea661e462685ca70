"""Snapshots as folders: shown where the switch says so, of one's own home alone, and nobody can change them."""

import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hcloud.storage_boxes import BoundStorageBox, StorageBoxAccessSettings, StorageBoxSnapshotPlan

from lab.estate import BOX_ID
from lab.lab import LabBox
from tasks.remote.hetzner import client
from tasks.remote.secret import Secret

from .support import Client, succeeded

SHOWN = "the snapshot's content\n"


@pytest.fixture
def console(box: LabBox) -> Iterator[BoundStorageBox]:
    """The box in Hetzner's API, which shows snapshots; afterwards there is none."""
    endpoint = f"http://127.0.0.1:{box.settings.api_port}/v1"
    console = client(Secret(box.settings.api_token), endpoint).storage_boxes.get_by_id(BOX_ID)
    show(console)
    yield console
    show(console, on=False)
    console.disable_snapshot_plan()
    for each in console.get_snapshot_all():
        each.delete()


def show(console: BoundStorageBox, *, on: bool = True) -> None:
    console.update_access_settings(StorageBoxAccessSettings(zfs_enabled=on)).wait_until_finished()


def snapshot(console: BoundStorageBox) -> str:
    """Make a snapshot; return its name."""
    made = console.create_snapshot().snapshot
    made.reload()
    return str(made.name)


@pytest.fixture
def sub(operator: Client, box: LabBox) -> Client:
    """A sub-account with a file; so has the main account."""
    (box.home() / "file").write_text(SHOWN)
    (box.home("u100001-sub1") / "own").write_text("of the sub-account")
    return Client(box, operator.folder, "u100001-sub1").with_new_key("sub")


def test_what_was_changed_since_is_read_by_shell_sftp_and_scp(
    console: BoundStorageBox, operator: Client, sub: Client, box: LabBox, tmp_path: Path
) -> None:
    name = snapshot(console)
    there = f".zfs/snapshot/{name}"
    (box.home() / "file").write_text("encrypted")
    (box.home("u100001-sub1") / "own").unlink()
    copy = tmp_path / "copy"

    assert ".zfs" in succeeded(operator.ssh("ls -a")).stdout.decode().split()
    assert succeeded(operator.ssh("ls .zfs/snapshot")).stdout.decode() == f"{name}\n"
    assert succeeded(operator.ssh(f"cat /home/{there}/file")).stdout.decode() == SHOWN
    assert f"./{there}/file" in succeeded(operator.ssh(f"sha256sum {there}/file")).stdout.decode()
    succeeded(operator.ssh(f"cp -r {there} back"))
    assert (box.home() / "back/file").read_text() == SHOWN
    listed = succeeded(operator.sftp("ls -la", f"ls -l {there}", f"get -r {there} {copy}", "cd .zfs", "pwd")).stdout
    assert any(line.startswith(b"d") and line.endswith(b" .zfs") for line in listed.splitlines()), listed
    assert b"/home/.zfs\n" in listed
    assert (copy / "file").read_text() == SHOWN
    assert (copy / "sub1/own").read_text() == "of the sub-account"
    succeeded(operator.scp(f"BOX:{there}/file", str(tmp_path / "single")))
    assert (tmp_path / "single").read_text() == SHOWN
    succeeded(operator.rsync("-a", f"BOX:{there}/", str(tmp_path / "synced")))
    assert (tmp_path / "synced/file").read_text() == SHOWN

    assert sorted(succeeded(sub.ssh(f"ls -A {there}")).stdout.decode().split()) == [".ssh", "own"]
    succeeded(sub.sftp(f"get {there}/own {tmp_path / 'own'}"))
    assert (tmp_path / "own").read_text() == "of the sub-account"
    for command in (f"cat {there}/../../../../file", f"ls {there}/..", f"cat {there}/file"):
        assert b"content" not in sub.ssh(command).stdout
    assert operator.ssh("ls sub1/.zfs/snapshot").returncode != 0


def test_nothing_in_a_snapshot_can_be_changed(
    console: BoundStorageBox, operator: Client, sub: Client, box: LabBox, tmp_path: Path
) -> None:
    there = f".zfs/snapshot/{snapshot(console)}"
    local = tmp_path / "local"
    local.write_text("planted")
    (box.home() / "link").symlink_to(f"{there}/file")
    for command in (
        *(f"{verb} {there}/file" for verb in ("rm", "touch", "chmod 600")),
        *(f"{verb} {there}/new" for verb in ("mkdir", "touch", "cp file", "mv file")),
        f"mv {there}/file taken",
        f"dd of={there}/file",
        f"rmdir {there}/sub1",
        "rm -r .zfs",
        "mv .zfs moved",
        "dd of=link",
    ):
        done = operator.ssh(command, b"planted")
        assert (done.returncode, b"Read-only file system" in done.stderr) == (1, True), (command, done)
    commands = [
        *(f"put {local} {place}" for place in (f"{there}/file", f"{there}/new", ".zfs/new", "link")),
        f"rm {there}/file",
        f"rename {there}/file taken",
        f"rename file {there}/file",
        f"mkdir {there}/new",
        f"chmod 600 {there}/file",
        f"ln {there}/file hard",
        "rename .zfs moved",
    ]
    for command in commands:
        assert operator.sftp(command).returncode != 0, command
    assert sub.sftp(f"rm {there}/own").returncode != 0
    assert operator.scp(str(local), f"BOX:{there}/file").returncode != 0
    assert b"Read-only file system" in operator.rsync(str(local), f"BOX:{there}/file").stderr
    done = operator.borg("init", "-e", "none", "REPOSITORY", path=f"./{there}/repository")
    assert b"Read-only file system" in done.stderr

    assert succeeded(operator.ssh(f"cat {there}/file")).stdout.decode() == SHOWN
    assert succeeded(operator.ssh(f"ls {there}")).stdout.split() == [b"file", b"sub1", b"sub3"]
    assert succeeded(sub.ssh(f"cat {there}/own")).stdout == b"of the sub-account"


def test_where_the_switch_is_off_there_is_no_such_folder(
    console: BoundStorageBox, operator: Client, sub: Client, box: LabBox
) -> None:
    there = f".zfs/snapshot/{snapshot(console)}"
    show(console, on=False)
    for person in (operator, sub):
        for command in (f"ls {there}", "ls .zfs", f"cat {there}/own"):
            assert b"No such file" in person.ssh(command).stderr
        assert b".zfs" not in succeeded(person.ssh("ls -a")).stdout + succeeded(person.sftp("ls -a")).stdout
        assert person.sftp(f"ls {there}").returncode != 0
    assert not any(".zfs" in path.name for path in box.home().rglob("*"))
    show(console)
    assert succeeded(sub.ssh(f"cat {there}/own")).stdout == b"of the sub-account"


def test_a_snapshot_holds_no_snapshots_and_survives_a_rollback(
    console: BoundStorageBox, operator: Client, sub: Client, box: LabBox
) -> None:
    first = snapshot(console)
    (box.home() / "since").write_text("lost by the rollback")
    second = snapshot(console)
    assert b".zfs" not in succeeded(operator.ssh(f"ls -a .zfs/snapshot/{second}")).stdout
    back = console.get_snapshot_by_name(first)
    assert back is not None
    console.rollback_snapshot(back).wait_until_finished()

    assert succeeded(operator.ssh("ls .zfs/snapshot")).stdout.decode() == f"{first}\n"
    assert succeeded(sub.ssh("ls .zfs/snapshot")).stdout.decode() == f"{first}\n"
    assert not (box.home() / "since").exists()


def test_stock_borg_reads_a_repository_in_a_snapshot_where_it_lies(
    console: BoundStorageBox, operator: Client, data: Path, tmp_path: Path
) -> None:
    succeeded(operator.borg("init", "-e", "none", "REPOSITORY"))
    succeeded(operator.borg("create", "REPOSITORY::first", str(data)))
    there = f"./.zfs/snapshot/{snapshot(console)}/repository"
    succeeded(operator.ssh("rm -r repository"))

    assert succeeded(operator.borg("list", "--short", "--bypass-lock", "REPOSITORY", path=there)).stdout == b"first\n"
    words = operator.borg_words("extract", "--bypass-lock", "REPOSITORY::first", path=there)
    subprocess.run(words, cwd=tmp_path, check=True, env=operator.environment())
    restored = tmp_path / str(data).lstrip("/")
    assert [path.read_bytes() for path in sorted(restored.iterdir())] == [
        path.read_bytes() for path in sorted(data.iterdir())
    ]


def test_a_plan_makes_its_own_when_they_are_due_and_drops_its_own_alone(
    console: BoundStorageBox, operator: Client, box: LabBox
) -> None:
    manual = snapshot(console)
    console.enable_snapshot_plan(StorageBoxSnapshotPlan(2, 3, 30, day_of_week=1)).wait_until_finished()
    made = [box.faults.time(datetime(2026, 11, day, 3, 30, tzinfo=UTC)) for day in range(2, 24)]
    assert [day for day, name in enumerate(made, start=2) if name] == [2, 9, 16, 23]  # the Mondays of that month
    assert box.faults.time(datetime(2026, 11, 30, 3, 31, tzinfo=UTC)) is None

    kept = {each.name: each.is_automatic for each in console.get_snapshot_all()}
    assert kept == {manual: False, "2026-11-16T03-30-00": True, "2026-11-23T03-30-00": True}
    assert sorted(succeeded(operator.ssh("ls .zfs/snapshot")).stdout.decode().split()) == sorted(map(str, kept))
    assert [each.name for each in console.get_snapshot_all(is_automatic=False)] == [manual]
    console.disable_snapshot_plan().wait_until_finished()
    assert box.faults.time(datetime(2026, 11, 30, 3, 30, tzinfo=UTC)) is None
    assert len(console.get_snapshot_all()) == 3

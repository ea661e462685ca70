"""Disks and storages that refuse, or give back something else than was written."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.contract.support import borg_on_a_disk
from tests.fault.fleet import Fleet


@contextmanager
def overwritten(path: Path, at: int) -> Iterator[None]:
    """Change one byte of a file, and bring the file back."""
    whole = path.read_bytes()
    path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    try:
        yield
    finally:
        path.write_bytes(whole)


def test_a_read_only_storage_fails_every_backup_and_is_told(fleet: Fleet) -> None:
    fleet.lab.box.faults.readonly()
    night = fleet.night(source="files", alone=True)
    assert night.code == 4
    said = night.line(fleet.victim, "files")
    assert "a file system is read-only: " in said
    assert "no record could be written" in said
    assert night.made[fleet.victim] == []


def test_a_damaged_index_is_made_anew(fleet: Fleet) -> None:
    index = max(fleet.repository(fleet.victim).glob("index.*"), key=lambda path: int(path.suffix[1:]))
    index.write_bytes(os.urandom(index.stat().st_size))
    night = fleet.night(source="files")
    assert night.code == 3  # saved, but a person has to look at that disk
    assert re.search(r" warning .*\n.*index missing or corrupted", night.line(fleet.victim, "files")), night.printed
    fleet.operator.done("check", "--app", fleet.victim)


def test_a_damaged_segment_harms_no_new_backup_and_is_found_by_a_check(fleet: Fleet) -> None:
    segments = [path for path in fleet.repository(fleet.victim).glob("data/*/*") if path.is_file()]
    largest = max(segments, key=lambda path: path.stat().st_size)
    with overwritten(largest, largest.stat().st_size // 2):
        night = fleet.night(source="files")
        found = fleet.operator.inv("check", "--app", fleet.victim, "--repository-only")
    assert night.code == 0
    assert found.returncode == 4
    assert "the repository is damaged" in found.stdout
    fleet.operator.done("check", "--app", fleet.victim)


def test_a_full_disk_of_the_host_is_told_apart_from_a_full_storage(fleet: Fleet, tmp_path: Path) -> None:
    host, flag = fleet.host, tmp_path / "full"
    cache = host.home / ".cache/borg"
    flag.write_text(str(cache))
    shutil.rmtree(cache)  # or nothing of it would be written anew
    program = host.paths.programs / "borg"
    borg_on_a_disk(program, flag)
    try:
        night = fleet.night(source="files")
    finally:
        program.unlink()
    assert night.code == 3
    assert "disk with borg's cache is full on the machine where borg runs" in night.line(fleet.victim, "files")
    assert night.made[fleet.victim] == []
    assert list(cache.glob("*/chunks"))  # half of one, which borg itself cannot read
    assert fleet.night(source="files").code == 0


def test_a_storage_that_takes_no_record_fails_no_good_backup_and_says_so(fleet: Fleet) -> None:
    folder = fleet.lab.box.home() / "cloudbackup/records" / fleet.victim
    aside = folder.rename(folder.with_name("aside"))
    folder.touch()
    try:
        night = fleet.night(source="files", unrecorded=True)
    finally:
        folder.unlink()
        aside.rename(folder)
    assert night.code == 3
    assert "no record could be written" in night.line(fleet.victim, "files")
    (archive,) = night.made[fleet.victim]
    words = ("borg", "delete", f"{fleet.repository(fleet.victim)}::{archive}")  # or it would be a stranger for good
    subprocess.run(words, env={**os.environ, **fleet.stock(fleet.victim)}, check=True)
    del fleet.known[fleet.victim][archive]

"""Streams, redo logs and binary logs that a thief put together are refused, or can only fail."""

import os
import subprocess
from pathlib import Path

import pytest

from lab import programs
from tasks.errors import CloudbackupError
from tasks.mariadb import drill, unpack
from tasks.mariadb.drill import DrillOptions
from tasks.mariadb.host import private_server
from tests.integration.mariadb.conftest import Running
from tests.integration.mariadb.hostile.walls import WALLS, chunk, person
from tests.integration.mariadb.test_drill import content, packed


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("../evil.ibd", "leads out of the directory"),
        ("/tmp/cb-evil.ibd", "leads out of the directory"),
        (".my.cnf", "leads out of the directory"),
        ("shop/../../evil.ibd", "leads out of the directory"),
        ("shop/evil.so", r"holds \./shop/evil\.so, which is no file of a table"),
        ("shop/.bashrc", r"which is no file of a table"),
        ("shop/my.cnf", r"which is no file of a table"),
    ],
)
def test_a_strange_name_in_the_stream_is_refused(name: str, says: str, backup: Path, folder: Path) -> None:
    stream = folder / "stream"
    stream.write_bytes(chunk(name, b"evil") + backup.read_bytes())
    with person(folder, "root") as (host, _), pytest.raises(CloudbackupError, match=says):
        unpack.to_directory(host, content(stream), str(folder / "new"))
    assert {path.name for path in folder.iterdir()} == {"stream", "home"}


def test_option_files_and_links_of_the_archive_are_left_out(backup: Path, folder: Path) -> None:
    stream = folder / "stream"
    names = ("my.cnf", "mysqld.ini", "shop/far.isl", "shop/near.link")
    stream.write_bytes(b"".join(chunk(name, b"[mysqld]\n/etc\n") for name in names) + backup.read_bytes())
    with person(folder, "root") as (host, _):
        unpacked = unpack.to_directory(host, content(stream), str(folder / "new"))
    new = folder / "new"
    assert [name for name in names if (new / name).exists()] == []
    assert (new / "backup-my.cnf").exists()
    assert unpacked.walls == WALLS["root"]
    assert {path.stat().st_uid for path in new.rglob("*")} == {os.geteuid()}


def test_a_damaged_redo_log_can_only_fail(backup: Path, folder: Path) -> None:
    place = folder / "unpacked"
    place.mkdir()
    with backup.open("rb") as stream:
        subprocess.run(("mbstream", "-x", "-C", place), stdin=stream, check=True)
    (place / "cloudbackup_padding").unlink()
    log = place / "ib_logfile0"
    data = bytearray(log.read_bytes())
    for at in range(12288, len(data), 97):
        data[at] ^= 0xFF
    log.write_bytes(data)
    with person(folder, "root") as (host, _), pytest.raises(CloudbackupError):
        drill.run(host, content(packed(place)), DrillOptions(1000, (), str(folder)))


def test_the_client_of_a_replay_obeys_no_command_that_a_binary_log_brings(shop: Running, folder: Path) -> None:
    (folder / "s").symlink_to(shop.server.socket)
    (folder / "sql").write_text("SELECT 'sourced';\n")
    client = private_server.Private.__new__(private_server.Private)
    client.client = programs.find("mariadb")
    words = [word for word in client.client_words() if not word.startswith("--user")]
    words[1:2] = [f"--defaults-file={shop.server.root_options}"]
    mark = folder / "mark"
    commands = [
        f"\\! touch {mark}", f"system touch {mark}", f"source {folder}/sql", f"\\. {folder}/sql", f"tee {mark}", f"\\T {mark}",
        f"SELECT 1/*!*/;\n\\! touch {mark}", f"DELIMITER //\n\\! touch {mark}//", f"pager touch {mark}", f"\\P touch {mark}",
        f"LOAD DATA LOCAL INFILE '{folder}/sql' INTO TABLE shop.words", "SELECT 'a\n\\! touch " + str(mark) + "\n'",
    ]  # fmt: skip
    for command in commands:
        done = subprocess.run(words, cwd=folder, input=f"{command}\n;\n", capture_output=True, text=True, check=False)
        assert "sourced" not in done.stdout.splitlines()
        assert not mark.exists(), command
    (folder / "s").unlink()

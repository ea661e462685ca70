"""What a program that reads binary logs in a replay finds around it: nobody's secret, and no option file of a home."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from lab import mariadb
from tasks.mariadb import restore
from tasks.mariadb.restore import RestoreRequest
from tasks.remote.host import LocalHost
from tasks.remote.script import Stream
from tasks.remote.secret import Secret
from tests.integration.fleet.support import eventually
from tests.integration.mariadb.conftest import Running
from tests.integration.mariadb.test_replay import History

SECRET = "hunter2-of-the-repository"
GROUPS = (
    "client",
    "client-server",
    "mysqlbinlog",
    "mariadb-binlog",
    "mysql",
    "mariadb",
    "mysqld",
    "mariadbd",
    "server",
)
BROKEN = "".join(f"[{group}]\nno-such-option-at-all=1\n" for group in GROUPS)
READER = ("mariadb-binlog", "mysqlbinlog")


def secret(stream: Stream) -> Stream:
    """Return a stream with what borg needs to read it."""
    return Stream(stream.body, {**stream.environment, "BORG_PASSPHRASE": Secret(SECRET), "BORG_REPO": "x"})


@contextmanager
def watched(folder: Path) -> Iterator[dict[int, bytes]]:
    """Give the environments of the readers of binary logs whose files are in a folder, by their processes."""
    found: dict[int, bytes] = {}
    mark = os.fsencode(folder)
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(0.002):
            for entry in Path("/proc").glob("[0-9]*"):
                try:
                    program, *words = (entry / "cmdline").read_bytes().split(b"\0")
                    if Path(os.fsdecode(program)).name in READER and any(mark in word for word in words):
                        found[int(entry.name)] = (entry / "environ").read_bytes() or found.get(int(entry.name), b"")
                except OSError:
                    continue

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield found
    finally:
        ended.set()
        watcher.join()


@pytest.fixture
def history(own_shop: Running, tmp_path: Path) -> History:
    """A server whose reader must wait in a replay: a statement that takes its time stands before many others."""
    history = History(own_shop, tmp_path)
    history.query("SET GLOBAL binlog_format = STATEMENT; CREATE TABLE shop.slow (a INT, b LONGTEXT)")
    return history


def test_neither_a_secret_nor_an_option_file_of_the_home_reaches_the_reader(
    history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content, position = history.base("base")
    history.query("INSERT INTO shop.slow (a) SELECT SLEEP(1)")
    for _ in range(5):  # more than a pipe and its ends hold
        history.query("INSERT INTO shop.slow (b) VALUES ('" + "x" * 1_000_000 + "')")
    second = history.now() + 1
    assert eventually(lambda: history.now() > second)
    history.collect()
    moment = history.moment(second, position)
    moment = replace(moment, logs=[secret(each) for each in moment.logs])
    home = tmp_path / "home"
    home.mkdir()
    for name in (".my.cnf", ".mylogin.cnf"):
        (home / name).write_text(BROKEN)
    for name in ("HOME", "MYSQL_HOME", "MARIADB_HOME"):
        monkeypatch.setenv(name, str(home))
    (home / "my.cnf").write_text(BROKEN)
    monkeypatch.setenv("BORG_PASSPHRASE", SECRET)
    monkeypatch.setenv("MYSQL_PWD", SECRET)
    target = history.running.server.folder / "moment"
    with watched(target.parent) as seen:
        _, recovered = restore.to_directory(LocalHost(), RestoreRequest(secret(content), None, moment), str(target))
    assert recovered is not None
    assert recovered.transactions == 6
    read = [text for text in seen.values() if text]  # of one that is ending there is nothing to read
    assert read
    for text in read:
        names = {each.partition(b"=")[0].decode() for each in text.split(b"\0") if each}
        assert SECRET.encode() not in text
        assert names <= {"HOME", "LC_ALL", "PATH", "TZ"}
        assert b"HOME=/nonexistent" in text.split(b"\0")
    with mariadb.serving(target) as copy:
        assert mariadb.query(copy, "SELECT COUNT(*), MAX(LENGTH(b)) FROM shop.slow") == [["6", "1000000"]]

"""A database in WAL mode is saved from a read-only file system too, with what only its `-wal` has."""

import os
import shutil
import sqlite3
from pathlib import Path
from types import SimpleNamespace

import pytest

from tasks.sources.dumps.host import sqlite_dump


def test_a_still_database_in_wal_mode_is_saved_from_a_read_only_file_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    live, mounted, folder = tmp_path / "live.db", tmp_path / "mounted.db", tmp_path / "folder"
    folder.mkdir()
    with sqlite3.connect(live) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("CREATE TABLE orders (id)")
        database.execute("INSERT INTO orders VALUES (1)")
        database.commit()
        for end in ("", "-wal"):
            shutil.copyfile(f"{live}{end}", f"{mounted}{end}")
    assert sqlite_dump.readable(str(mounted), str(folder)) == str(mounted)
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_flag=os.ST_RDONLY))
    still = sqlite_dump.readable(str(mounted), str(folder))
    assert Path(still).parent == folder
    sqlite_dump.copied(still, str(folder / "copy"))
    with sqlite3.connect(folder / "copy") as copy:
        assert copy.execute("SELECT id FROM orders").fetchall() == [(1,)]
    Path(f"{mounted}-shm").touch()  # somebody has it open
    assert sqlite_dump.readable(str(mounted), str(folder)) == str(mounted)

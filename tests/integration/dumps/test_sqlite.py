"""An SQLite database is saved while a program writes to it, drilled, and put back with the old one kept."""

import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.integration.dumps.conftest import MakeShop
from tests.integration.fleet.support import Operator

ROWS = 2000


@pytest.fixture
def database(tmp_path: Path) -> Path:
    file = tmp_path / "it's shop.db"
    with closing(sqlite3.connect(file)) as live:
        live.execute("PRAGMA journal_mode = WAL")
        live.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, debit INT, credit INT, note TEXT)")
        live.executemany("INSERT INTO orders VALUES (?, 0, 0, ?)", [(each, "x" * 500) for each in range(ROWS)])
        live.commit()
    return file


@pytest.fixture
def writer(database: Path) -> Iterator[None]:
    """Write without a pause: in every transaction debit and credit of two rows change together."""
    ended = threading.Event()

    def write() -> None:
        with closing(sqlite3.connect(database, timeout=60)) as live:
            number = 0
            while not ended.is_set():
                number += 1
                live.execute("UPDATE orders SET debit = ? WHERE id = ?", (number, number % ROWS))
                live.execute("UPDATE orders SET credit = ? WHERE id = ?", (number, ROWS - 1 - number % ROWS))
                live.commit()

    thread = threading.Thread(target=write)
    thread.start()
    yield
    ended.set()
    thread.join()


@pytest.fixture
def shop(make_shop: MakeShop, database: Path) -> Operator:
    return make_shop(
        orders={"sqlite": {"path": str(database), "verify": ["SELECT SUM(debit) = SUM(credit) FROM orders"]}}
    )


def sums(file: Path) -> tuple[int, int]:
    with closing(sqlite3.connect(file)) as database:
        (row,) = database.execute("SELECT SUM(debit), SUM(credit) FROM orders").fetchall()
        return row[0], row[1]


def test_a_database_under_writes_comes_back_whole(
    shop: Operator, database: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    request.getfixturevalue("writer")
    shop.done("backup", "--app", "shop")
    printed = shop.done("verify", "--app", "shop", "--scratch", str(tmp_path))
    assert "finds 1 table sound, 1 query answered" in printed
    assert shop.report()["shop", "orders"]["proven"]
    end = shop.inv("restore", "--app", "shop", "--yes")  # the writer has it open
    assert end.returncode == 4
    assert "is open in process" in end.stdout


def test_what_is_put_back_keeps_the_old_one_beside_it(shop: Operator, database: Path, tmp_path: Path) -> None:
    shop.done("backup", "--app", "shop")
    with closing(sqlite3.connect(database)) as live:
        live.execute("UPDATE orders SET debit = 7")
        live.commit()
    shop.done("restore", "--app", "shop", "--yes")
    assert sums(database) == (0, 0)
    (old,) = [each for each in tmp_path.glob("*.before-*") if not each.name.endswith(("-wal", "-shm"))]
    assert sums(old) == (7 * ROWS, 0)
    assert [each.name for each in tmp_path.glob("*-wal")] == []  # what lay beside the old one is in it

    (archive,) = shop.archives("shop")
    environment = {
        "BORG_REPO": str(tmp_path / "storage" / "shop"),
        "BORG_PASSPHRASE": "a passphrase",
        "BORG_BASE_DIR": str(tmp_path / "stock"),
        "ARCHIVE": archive,
    }
    lines = 'borg extract --stdout "::$ARCHIVE" > shop.db\nsqlite3 shop.db "PRAGMA integrity_check"\n'
    documented = (Path(__file__).parents[3] / "docs" / "sources.md").read_text()
    assert all(f"    {line}\n" in documented for line in lines.splitlines())
    done = subprocess.run(
        ["bash", "-ec", lines], cwd=tmp_path, check=True, capture_output=True, text=True,
        env={**shop.environment(), **environment},
    )  # fmt: skip
    assert done.stdout == "ok\n"
    assert sums(tmp_path / "shop.db") == (0, 0)


def test_a_torn_page_fails_the_drill_and_no_database_fails_the_backup(
    shop: Operator, database: Path, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(database)) as live:
        live.execute("PRAGMA journal_mode = DELETE")
    with database.open("r+b") as torn:
        torn.seek(40 * 4096)
        torn.write(b"\xff" * 4096)
    shop.done("backup", "--app", "shop")
    end = shop.inv("verify", "--app", "shop", "--scratch", str(tmp_path))
    assert end.returncode == 4
    assert "integrity_check" in end.stdout or "malformed" in end.stdout
    database.write_text("no database, but long enough to look like a file of some kind" * 100)
    assert "file is not a database" in shop.inv("backup", "--app", "shop").stdout
    database.unlink()
    end = shop.inv("backup", "--app", "shop")
    assert "No such file or directory" in end.stdout
    assert not database.exists()
    assert len(shop.archives("shop")) == 1

"""What option files on the host have mariadb-backup leave out, and which of the server's tables an archive lacks."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import mariadb
from tasks.mariadb import drill, dump, errors, restore, server
from tasks.mariadb.access import Access
from tasks.mariadb.host import tables
from tasks.remote.host import LocalHost
from tasks.remote.script import Script, Stream, quote
from tests.integration.mariadb.conftest import PASSWORD, Running

TABLES = """
CREATE DATABASE logs; CREATE TABLE logs.hits (i INT); INSERT INTO logs.hits VALUES (1);
CREATE TABLE logs.old (i INT) ENGINE=MyISAM; CREATE VIEW logs.seen AS SELECT * FROM logs.hits;
CREATE TABLE logs.parts (i INT) PARTITION BY HASH(i) PARTITIONS 3; CREATE TABLE logs.`café x` (i INT) ENGINE=Aria;
CREATE TABLE logs.`lost` (i INT); ALTER TABLE logs.`lost` DISCARD TABLESPACE;
CREATE TRIGGER logs.t BEFORE INSERT ON logs.hits FOR EACH ROW SET @x = 1; CREATE SEQUENCE logs.numbers;
"""


@pytest.fixture(scope="module")
def logs(shop: Running) -> Iterator[Running]:
    mariadb.query(shop.server, TABLES)
    yield shop
    mariadb.query(shop.server, "DROP DATABASE logs")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder for drills that an ordinary user may pass through; nothing may be left in it."""
    path = Path(tempfile.mkdtemp(prefix="cb-drill-", dir="/tmp"))
    path.chmod(0o755)
    yield path
    left = list(path.iterdir())
    shutil.rmtree(path)
    assert left == []


def by_file(running: Running, lines: str) -> Access:
    """Return the way in by an option file with further lines."""
    file = running.home / "options.cnf"
    file.write_text(mariadb.client_options("backup", PASSWORD, running.server.socket) + lines)
    return Access(running.access(socket=None, user=None, defaults_file=str(file)).database)


def saved(host: LocalHost, access: Access, file: Path) -> tables.Compared:
    """Make a backup and return how it compares with the live server."""
    asked = server.ask(host, access)
    options = dump.DumpOptions(16384, checkpoint=False, datadir=asked.datadir)
    content = dump.dump(access, asked.tools, options)
    made = host.run(Script(f"({content.body}) | tar -xBOf - > {quote((str(file),))}", content.environment))
    assert made.ok, made.error_text
    found = tables.compared(made.error_text.splitlines())
    assert found is not None
    return found


def wrapped(running: Running, *words: str) -> Access:
    """Return a way in whose mariadb-backup gets further words, last, so that they win."""
    tools = running.home / "tools"
    tools.mkdir(exist_ok=True)
    (tools / "mariadb-backup").write_text(f'#!/bin/sh\nexec /usr/bin/mariadb-backup "$@" {quote(words)}\n')
    (tools / "mariadb-backup").chmod(0o755)
    return running.access(exec=["env", f"PATH={tools}:/usr/sbin:/usr/bin:/sbin:/bin"])


@pytest.mark.parametrize("group", ["mariadb-backup", "mariabackup", "xtrabackup"])
@pytest.mark.parametrize(
    "option",
    ["databases-exclude=logs", "databases=shop", "tables=shop.words", "tables_exclude=logs[.].*",
     "loose-databases-exclude=logs", "no-lock", "export"],
)  # fmt: skip
def test_an_option_file_leaves_nothing_out(
    logs: Running, host: LocalHost, tmp_path: Path, group: str, option: str
) -> None:
    access = by_file(logs, f"[{group}]\n{option}\n")
    found = saved(host, access, tmp_path / "stream")
    assert found.missing == 0
    assert found.known.schemas["logs"] == 7
    assert "logs/caf@0p@0020x" in found.known.names


@pytest.mark.parametrize("option", ["compress", "tables-file=/etc/hosts", "incremental-lsn=7", "databases_file=/x"])
def test_what_no_word_undoes_is_refused_by_name_before_the_copy(logs: Running, host: LocalHost, option: str) -> None:
    asked = server.ask(host, by_file(logs, f"[mariabackup]\n{option}\n"))
    with pytest.raises(errors.DatabaseError, match=option.partition("=")[0].replace("_", "-")) as caught:
        server.require_backup(asked, host.name)
    assert "[mariabackup]" in caught.value.remedy


def test_harmless_options_of_the_group_and_passwords_are_no_fault(logs: Running, host: LocalHost) -> None:
    asked = server.ask(host, by_file(logs, "[mariadb-backup]\nparallel=2\ncompress-threads=2\n"))
    assert server.faults(asked) == []
    assert {"parallel", "password"} <= asked.tools.given
    assert not any(PASSWORD in name for name in asked.tools.given)


@pytest.mark.parametrize(
    ("word", "expected"),
    [("--databases-exclude=logs",
      ["logs/caf@0p@0020x", "logs/db", "logs/hits", "logs/lost", "logs/numbers", "logs/old", "logs/parts",
       "logs/seen", "logs/t"]),
     ("--tables-exclude=^logs[.]old$", ["logs/old"]),
     ("--tables-exclude=^logs[.]parts$", ["logs/parts"])],
)  # fmt: skip
def test_tables_that_are_left_out_all_the_same_are_named(
    logs: Running, host: LocalHost, tmp_path: Path, word: str, expected: list[str]
) -> None:
    found = saved(host, wrapped(logs, word), tmp_path / "stream")
    assert list(found.first) == expected
    assert found.missing == len(expected)
    assert not set(expected) & set(found.known.names)


def test_tables_made_dropped_renamed_and_altered_during_the_backup_are_no_false_alarm(
    own_shop: Running, host: LocalHost, tmp_path: Path
) -> None:
    """The wrapper changes them after the first list of the tables, and once mariadb-backup has ended."""
    mariadb.query(
        own_shop.server, "CREATE DATABASE d; CREATE TABLE d.drop_me (i INT); CREATE TABLE d.a (i INT);"
        " CREATE TABLE d.b (i INT) ENGINE=MyISAM; CREATE TABLE d.grow (i INT); CREATE TABLE d.built (i INT);"
        " CREATE TABLE d.empty (i INT)",
    )  # fmt: skip
    client = f"/usr/bin/mariadb --defaults-file={own_shop.server.root_options}"
    during = "DROP TABLE d.drop_me; RENAME TABLE d.a TO d.c, d.b TO d.a, d.c TO d.b; ALTER TABLE d.grow ADD j INT;"
    during += "CREATE TABLE d.late (i INT); TRUNCATE d.empty; OPTIMIZE TABLE d.built"
    access = wrapped(own_shop)
    (own_shop.home / "tools" / "ls").write_text(f'#!/bin/sh\n/bin/ls "$@"; touch {own_shop.home}/listed\n')
    (own_shop.home / "tools" / "ls").chmod(0o755)
    script = own_shop.home / "tools" / "mariadb-backup"
    script.write_text(
        '#!/bin/sh\ncase "$*" in *--backup*) ;; *) exec /usr/bin/mariadb-backup "$@" ;; esac\n'
        f"until [ -e {own_shop.home}/listed ]; do sleep 0.1; done; sleep 1; {client} -e {quote((during,))} >/dev/null\n"
        f'/usr/bin/mariadb-backup "$@" || exit\n{client} -e "CREATE TABLE d.later (i INT)"\n'
    )
    found = saved(host, access, tmp_path / "stream")
    assert found.missing == 0
    assert found.known.schemas["d"] == 1
    assert "d/empty" in found.known.names


def restored(host: LocalHost, stream: Path, known: tables.Known, folder: Path) -> None:
    content = Stream(quote(("cat", str(stream))))
    restore.to_directory(host, restore.RestoreRequest(content, tables=known), str(folder))


def test_a_drill_and_a_restore_name_the_tables_that_the_archive_lacks(
    logs: Running, host: LocalHost, tmp_path: Path, folder: Path
) -> None:
    """The archive lacks what its record says that it holds."""
    part = tmp_path / "part"
    whole = saved(host, logs.access(), tmp_path / "whole").known
    saved(host, wrapped(logs, "--databases-exclude=logs"), part)
    content = Stream(quote(("cat", str(part))))
    with pytest.raises(drill.DrillError, match=r"are missing: logs\.caf@0p x; logs\.hits; logs\.lost; and 4 more"):
        drill.run(host, content, drill.DrillOptions(1000, folder=str(folder), tables=whole))
    with pytest.raises(errors.DatabaseError, match=r"7 tables .* are missing: logs\.caf@0p x, logs\.hits"):
        restored(host, part, whole, tmp_path / "restored")
    assert not (tmp_path / "restored").exists()


def test_a_drill_and_a_restore_of_all_tables_succeed_also_of_one_without_tablespace(
    logs: Running, host: LocalHost, tmp_path: Path, folder: Path
) -> None:
    known = tables.held(saved(host, logs.access(), tmp_path / "stream"), server.ask(host, logs.access()).unopened)
    assert known.discarded == ("logs/lost",)
    assert tables.parse(json.loads(json.dumps(known.details()))) == known
    content = Stream(quote(("cat", str(tmp_path / "stream"))))
    done = drill.run(host, content, drill.DrillOptions(1000, folder=str(folder), tables=known))
    assert "logs.lost: its tablespace was discarded on the server, so it has no data" in done.remarks
    restored(host, tmp_path / "stream", known, tmp_path / "restored")
    with pytest.raises(drill.DrillError, match=r"missing: logs/lost\.ibd"):
        drill.run(host, content, drill.DrillOptions(1000, folder=str(folder)))

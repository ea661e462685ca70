"""The database's stream in a real borg archive: whole, or no archive at all; and out of it again, by stock tools too."""

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lab import mariadb
from tasks.mariadb import dump, server, unpack
from tasks.mariadb.access import Access
from tasks.mariadb.host import align
from tasks.remote.host import LocalHost
from tasks.remote.script import Script, Stream
from tests.integration.mariadb.archives import Repository
from tests.integration.mariadb.conftest import PASSWORD, Running
from tests.unit.mariadb.streams import members_of

ARCHIVE = "shop-mariadb-2026-11-22T03-00-00"
OPTIONS = dump.DumpOptions(chunk_size=16384)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository.make(tmp_path)


def stream(host: LocalHost, access: Access) -> Stream:
    return dump.dump(access, server.ask(host, access).tools, OPTIONS)


def test_a_whole_backup_becomes_an_archive_and_a_prepared_directory(
    shop: Running, host: LocalHost, repository: Repository, tmp_path: Path
) -> None:
    lines: list[str] = []
    made = host.run(repository.create(ARCHIVE, stream(host, shop.access())), on_stderr=lines.append)
    assert made.ok, made.error_text
    assert any(line.endswith("completed OK!") for line in lines)
    unpacked = unpack.to_directory(host, repository.extract(ARCHIVE), str(tmp_path / "new"))
    assert unpacked.position is not None
    told = dump.positions(lines)["binlog_info"].split("\t")
    assert told == [unpacked.position.file, str(unpacked.position.offset), unpacked.gtid]
    assert unpacked.version == server.ask(host, shop.access()).version
    assert not list((tmp_path / "new").rglob("*.isl"))
    assert not (tmp_path / "new" / align.PADDING.decode()).exists()
    with mariadb.serving(tmp_path / "new") as copy:
        assert mariadb.query(copy, "SELECT COUNT(*) FROM orders", "shop") == mariadb.query(
            shop.server, "SELECT COUNT(*) FROM orders", "shop"
        )


def test_a_second_backup_of_an_unchanged_server_adds_almost_nothing(
    own_shop: Running, host: LocalHost, repository: Repository
) -> None:
    for grantee in ("localhost", "127.0.0.1"):
        mariadb.query(own_shop.server, f"GRANT SUPER ON *.* TO backup@'{grantee}'")
    sizes = []
    for number in range(2):
        assert host.run(repository.create(f"{ARCHIVE}-{number}", stream(host, own_shop.access()))).ok
        sizes.append(sum(file.stat().st_size for file in (repository.folder / "repository").rglob("*")))
    assert sizes[1] - sizes[0] < 0.03 * sizes[0]


def test_the_readmes_lines_restore_it_with_stock_tools(
    shop: Running, host: LocalHost, repository: Repository, tmp_path: Path
) -> None:
    assert host.run(repository.create(ARCHIVE, stream(host, shop.access()))).ok
    environment = {**os.environ, **repository.environment, "ARCHIVE": ARCHIVE, "NEW": str(tmp_path / "by-hand")}
    done = subprocess.run(
        ("bash", "-euo", "pipefail", "-c", unpack.STOCK_LINES),
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.rstrip().endswith("completed OK!")
    with mariadb.serving(tmp_path / "by-hand") as copy:
        assert mariadb.query(copy, "SELECT COUNT(*) FROM items", "shop") != [["0"]]


def test_no_command_line_on_the_host_shows_the_password(shop: Running, host: LocalHost, repository: Repository) -> None:
    seen: set[str] = set()
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            seen.update(all_command_lines())

    watcher = threading.Thread(target=look)
    watcher.start()
    made = host.run(repository.create(ARCHIVE, stream(host, shop.access())))
    done.set()
    watcher.join()
    assert made.ok
    assert any("mariadb-backup" in line for line in seen)
    assert not [line for line in seen if PASSWORD in line or "ss'w" in line]
    assert PASSWORD not in made.error_text


def test_a_refused_account_leaves_no_archive_and_no_hash_in_the_messages(
    own_shop: Running, host: LocalHost, repository: Repository
) -> None:
    content = stream(host, own_shop.access())
    mariadb.query(own_shop.server, "REVOKE RELOAD ON *.* FROM backup@localhost")
    made = host.run(repository.create(ARCHIVE, content))
    assert not made.ok
    assert "missing required privilege RELOAD" in made.error_text
    assert "IDENTIFIED BY PASSWORD '***'" in made.error_text
    assert repository.archives() == []


def test_a_backup_that_does_not_say_completed_leaves_no_archive(
    shop: Running, host: LocalHost, repository: Repository, tmp_path: Path
) -> None:
    """A stand-in on the PATH gives a whole stream and exit code 0, but another last line."""
    real = subprocess.run(("which", "mariadb-backup"), capture_output=True, text=True, check=True).stdout.strip()
    stand_in = tmp_path / "mariadb-backup"
    stand_in.write_text(f'#!/bin/sh\n{real} "$@" || exit\necho "[00] not quite" >&2\n')
    stand_in.chmod(0o755)
    access = shop.access(exec=["env", f"PATH={tmp_path}:{os.environ['PATH']}"])
    made = host.run(repository.create(ARCHIVE, stream(host, access)))
    assert not made.ok
    assert dump.NOT_COMPLETED in made.error_text
    assert repository.archives() == []


MEMBERS: dict[str, Callable[[str], bool]] = {
    "mariadb-backup": lambda line: line.startswith("mariadb-backup\0--socket"),
    "the filter": lambda line: "-c\0import os, sys, types" in line and "\0ready" not in line and interpreter(line),
    "who watches the messages": lambda line: "-c\0import os, re, select" in line and interpreter(line),
    "the content's bash": lambda line: line.startswith("bash\0-o\0pipefail\0-c\0{ parent="),
    "borg": lambda line: "\0import-tar\0--chunker-params" in line,
}


def interpreter(line: str) -> bool:
    """Tell Python itself from a version manager's shell script of that name."""
    return "python" in line.partition("\0")[0]


@pytest.mark.parametrize("member", MEMBERS)
def test_whoever_in_the_pipe_is_killed_there_is_no_archive(
    member: str, shop: Running, host: LocalHost, repository: Repository
) -> None:
    script = repository.create(ARCHIVE, stream(host, shop.access()))
    results: list[bool] = []
    runner = threading.Thread(target=lambda: results.append(host.run(script).ok), daemon=True)
    runner.start()
    mark = f"BORG_REPO={repository.environment['BORG_REPO']}"
    stopped = wait_for(MEMBERS["the filter"], mark)
    os.kill(stopped, signal.SIGSTOP)  # the pipes fill, so everybody is in the middle of the work
    try:
        os.kill(wait_for(MEMBERS[member], mark), signal.SIGKILL)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(stopped, signal.SIGCONT)
    runner.join(60)
    assert results == [False]
    assert repository.archives() == []


def test_a_cut_content_leaves_no_directory(shop: Running, host: LocalHost, tmp_path: Path) -> None:
    content = stream(host, shop.access())
    whole = tmp_path / "whole"
    made = tmp_path / "made"
    assert host.run(Script(f"({content.body}) > {made}", content.environment)).ok
    whole.write_bytes(b"".join(each for _, each in members_of(made.read_bytes())))
    borders = [at for at in _borders(whole.read_bytes()) if at]
    for cut in (borders[len(borders) // 2], borders[-1], borders[-1] + 5):
        with pytest.raises(Exception, match=r"is no whole backup|cannot unpack"):
            unpack.to_directory(host, Stream(f"head -c {cut} {whole}"), str(tmp_path / "new"))
        assert not (tmp_path / "new").exists()
    with pytest.raises(unpack.ContentError) as caught:
        unpack.to_directory(host, Stream(f"cat {whole}; exit 3"), str(tmp_path / "new"))
    assert caught.value.code == 3
    assert not (tmp_path / "new").exists()


def _borders(data: bytes) -> list[int]:
    found, at = [], data.find(b"XBSTCK01")
    while at >= 0:
        found.append(at)
        at = data.find(b"XBSTCK01", at + 1)
    return found[:-3]  # what comes after are the last file's end and the padding's


def all_command_lines() -> set[str]:
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                found.add((entry / "cmdline").read_bytes().decode(errors="replace"))
            except OSError:
                continue
    return found


def wait_for(fits: Callable[[str], bool], mark: str) -> int:
    """Return the process of our run whose command line fits, once there is one."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        for entry in sorted(Path("/proc").iterdir(), key=lambda entry: entry.name.zfill(9)):
            try:
                if (
                    entry.name.isdigit()
                    and fits((entry / "cmdline").read_bytes().decode(errors="replace"))
                    and mark.encode() in (entry / "environ").read_bytes()
                ):
                    return int(entry.name)
            except OSError:
                continue
    raise AssertionError("no such process")

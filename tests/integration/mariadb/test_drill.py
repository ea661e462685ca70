"""Restore drills on real archives: what is good is proven, what is not fails, and nothing of a drill stays."""

import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import mariadb, programs
from tasks.errors import CloudbackupError, InterruptedRunError, RefusedError
from tasks.mariadb import drill, dump, restore, server, unpack
from tasks.mariadb.drill import DrillError, DrillOptions
from tasks.mariadb.host import examine, ordinary_user, private_server
from tasks.mariadb.restore import RestoreRequest
from tasks.remote.host import LocalHost
from tasks.remote.script import Script, Stream, quote
from tasks.remote.secret import Secret
from tests.integration.mariadb.archives import Repository
from tests.integration.mariadb.conftest import Running

WORDS = "SELECT SUM(seen) = 80200 FROM shop.words"
ARCHIVE = "shop-mariadb-2026-11-22T03-00-00"


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder for drills that an ordinary user may pass through; nothing may be left in it."""
    path = Path(tempfile.mkdtemp(prefix="cb-drill-", dir="/tmp"))
    path.chmod(0o755)
    yield path
    left = list(path.iterdir())
    shutil.rmtree(path)
    assert left == []
    assert not processes(path)


@pytest.fixture(scope="module")
def backup(shop: Running) -> Iterator[Path]:
    """A backup's stream in a file, which the tests share."""
    # All pages into their files: those that stand in the redo log are written anew when the backup is prepared.
    mariadb.query(shop.server, "SET GLOBAL innodb_max_dirty_pages_pct = 0, innodb_log_checkpoint_now = ON")
    with tempfile.TemporaryDirectory() as name:
        yield saved(shop, Path(name) / "backup")


@pytest.fixture
def unpacked(backup: Path, tmp_path: Path) -> Path:
    """The files of the backup as they came, to be changed and packed again."""
    place = tmp_path / "unpacked"
    place.mkdir()
    with backup.open("rb") as stream:
        subprocess.run(("mbstream", "-x", "-C", place), stdin=stream, check=True)
    (place / "cloudbackup_padding").unlink()
    return place


def saved(running: Running, file: Path) -> Path:
    host, access = LocalHost(), running.access()
    content = dump.dump(access, server.ask(host, access).tools, dump.DumpOptions(16384, checkpoint=False))
    made = host.run(Script(f"({content.body}) | tar -xBOf - > {quote((str(file),))}", content.environment))
    assert made.ok, made.error_text
    return file


def packed(unpacked: Path) -> Path:
    """Return a stream of changed files."""
    stream = unpacked.with_suffix(".mbstream")
    names = sorted(str(path.relative_to(unpacked)) for path in unpacked.rglob("*") if path.is_file())
    with stream.open("wb") as file:
        subprocess.run(("mbstream", "-c", *names), stdout=file, cwd=unpacked, check=True)
    return stream


def content(file: Path) -> Stream:
    return Stream(quote(("cat", str(file))))


def options(folder: Path, *verify: str, size: int = 1000) -> DrillOptions:
    return DrillOptions(size, verify, str(folder))


def processes(folder: Path) -> dict[int, str]:
    """Return the command lines of the processes that have to do with a folder."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in line:
            found[int(entry.name)] = line
    return found


def server_in(folder: Path) -> int | None:
    return next((pid for pid, line in processes(folder).items() if "mariadbd --no-defaults --" in line), None)


def asleep(folder: Path) -> int:
    """Return the private server's process once it answers the query that never ends."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        pid = server_in(folder)
        if pid and not list(folder.glob("*/run/init")) and list(folder.glob("*/run/checks")):
            return pid
        time.sleep(0.02)
    raise AssertionError("no private server")


def test_a_good_backup_is_proven(shop: Running, host: LocalHost, backup: Path, folder: Path) -> None:
    lines: list[str] = []
    queries = ("SELECT COUNT(*) > 0 FROM shop.orders", WORDS)
    done = drill.run(host, content(backup), options(folder, *queries), lines.append)
    asked = server.ask(host, shop.access())
    assert done.version == asked.version
    assert done.position == asked.position
    assert done.gtid == asked.variables["gtid_binlog_state"]
    tables = mariadb.query(
        shop.server, "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_TYPE IN ('BASE TABLE', 'SEQUENCE')"
        " AND TABLE_SCHEMA NOT IN ('information_schema', 'performance_schema')",
    )  # fmt: skip
    assert [[str(done.tables)]] == tables
    assert 0 < done.restore_seconds <= done.seconds + 1
    assert done.size > 10_000_000
    assert done.remarks == ()
    assert "drill: starts a server on the restored data" in lines


def test_a_wrong_row_fails_the_drill_by_the_query_that_finds_it(host: LocalHost, unpacked: Path, folder: Path) -> None:
    """One number of one row; the table is sound, so nothing but the app's own query can know."""
    file = unpacked / "shop" / "words.MYD"
    rows = file.read_bytes()
    right, wrong = (b"word77" + value.to_bytes(4, "little") for value in (77, 78))
    assert rows.count(right) == 1
    file.write_bytes(rows.replace(right, wrong))
    with pytest.raises(DrillError, match="answers 0 on the restored data, not 1") as caught:
        drill.run(host, content(packed(unpacked)), options(folder, "SELECT 1", WORDS))
    assert f"`{WORDS}`" in caught.value.what


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("SELECT COUNT(*) > 0 FROM shop.vanished", "Table 'shop.vanished' doesn't exist"),
        ("SELECT 1 FROM shop.orders LIMIT 2", "answers 1 1 on the restored data, not 1"),
        ("SELECT id = 0 FROM shop.orders WHERE id = 0", "answers nothing"),
    ],
)
def test_only_one_row_of_one_1_is_an_answer(query: str, says: str, shop: Running) -> None:
    """Asked of the live server, as a drill asks its private one."""

    class Live(private_server.Private):
        def __init__(self) -> None:
            pass

        def ask(self, statements: str, account: str = "") -> "subprocess.CompletedProcess[str]":  # noqa: ARG002
            words = (programs.find("mariadb"), f"--defaults-file={shop.server.root_options}", "--batch", "-N")
            return subprocess.run(words, input=statements, capture_output=True, text=True, check=False)

    examine.verify(Live(), ["SELECT 1"])
    with pytest.raises(ordinary_user.DrillFault) as caught:
        examine.verify(Live(), [query])
    assert f"`{query}`" in str(caught.value)
    assert says in str(caught.value)


def test_a_damaged_table_fails_the_drill_by_name(host: LocalHost, unpacked: Path, folder: Path) -> None:
    table = unpacked / "shop" / "items.ibd"
    page = 16384
    data = bytearray(table.read_bytes())
    data[6 * page + 200 : 6 * page + 300] = b"\xff" * 100
    table.write_bytes(data)
    with pytest.raises(DrillError, match=r"1 of \d+ tables are damaged: shop\.items|the check ended .*items"):
        drill.run(host, content(packed(unpacked)), options(folder))


@pytest.mark.parametrize(
    ("files", "says"),
    [
        (("words.MYD",), r"tables are damaged: shop\.words: "),
        (("items.ibd", "items.frm"), r"2 files of InnoDB tables are missing: shop/items\.ibd, shop/items\.frm"),
    ],
)
def test_a_lost_table_fails_the_drill_by_name(
    files: tuple[str, ...], says: str, host: LocalHost, unpacked: Path, folder: Path
) -> None:
    for name in files:
        (unpacked / "shop" / name).unlink()
    with pytest.raises(DrillError, match=says):
        drill.run(host, content(packed(unpacked)), options(folder))


def test_an_archive_of_a_cut_stream_fails_the_drill(
    host: LocalHost, backup: Path, folder: Path, tmp_path: Path
) -> None:
    """Made by hand with stock borg, which knows nothing of whole streams."""
    repository = Repository.make(tmp_path)
    data = backup.read_bytes()
    border = data.rindex(b"XBSTCK01", 0, data.rindex(b"_info"))
    info = data.rindex(b"XBSTCK01", 0, border)
    cut = tmp_path / "cut"
    cut.write_bytes(data[:info])
    with cut.open("rb") as stream:
        words = ("borg", "create", "--stdin-name=mariadb.mbstream", f"::{ARCHIVE}", "-")
        subprocess.run(words, stdin=stream, env={**os.environ, **repository.environment}, check=True)
    with pytest.raises(CloudbackupError, match="the archive is no whole backup"):
        drill.run(host, repository.extract(ARCHIVE), options(folder))
    cut.write_bytes(data[: len(data) // 2])
    with pytest.raises(CloudbackupError, match="cannot unpack"):
        drill.run(host, content(cut), options(folder))


def test_a_flipped_byte_in_the_repository_fails_the_drill(
    host: LocalHost, backup: Path, folder: Path, tmp_path: Path
) -> None:
    """And on what is wrong with the drill's host borg's own fault, that nobody reads on, is not told in its place."""
    repository = Repository.make(tmp_path)
    assert host.run(repository.create_file(ARCHIVE, content(backup))).ok
    with pytest.raises(CloudbackupError, match="no room") as caught:
        drill.run(host, repository.extract(ARCHIVE), options(folder, size=10**18))
    assert not isinstance(caught.value, unpack.ContentError)
    segment = max((tmp_path / "repository/data").rglob("*"), key=lambda path: path.is_file() and path.stat().st_size)
    with segment.open("r+b") as file:
        file.seek(segment.stat().st_size // 2)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))
    with pytest.raises(unpack.ContentError):
        drill.run(host, repository.extract(ARCHIVE), options(folder))


def test_another_release_series_is_refused_by_name_before_anything_is_unpacked(
    host: LocalHost, shop: Running, folder: Path, tmp_path: Path
) -> None:
    """The archive's comment tells its series; whoever reads the content finds the trace."""
    ours = server.series(server.ask(host, shop.access()).version)
    read = tmp_path / "read"
    stream = Stream(f"sleep 0.3; head -c 1000000 /dev/zero && touch {quote((str(read),))}")
    with pytest.raises(DrillError, match=f"the backup is of MariaDB 10.6, the server program there is of {ours}") as no:
        drill.run(host, stream, DrillOptions(1000, (), str(folder), "10.6.18"))
    assert no.value.remedy == "drill where MariaDB 10.6 is installed"
    target = str(folder / "new")
    wanted = RestoreRequest(stream, 1000, None, "10.6.18")
    with pytest.raises(CloudbackupError, match=f"of MariaDB 10.6, mariadb-backup there is of {ours}") as no_tool:
        restore.to_directory(host, wanted, target)
    assert "where MariaDB 10.6 is installed" in no_tool.value.remedy
    with pytest.raises(RefusedError, match=f"the backup is of MariaDB 10.6, the server of {ours}"):
        restore.in_place(host, shop.access(), wanted)
    assert not read.exists()


def test_another_release_series_that_no_comment_tells_is_refused_by_name(
    host: LocalHost, unpacked: Path, folder: Path
) -> None:
    info = next(unpacked.glob("*_info"))
    infos = [path for path in unpacked.glob("*_info") if "server_version" in path.read_text()]
    assert info
    text = infos[0].read_text()
    ours = server.series(text.partition("server_version = ")[2])
    infos[0].write_text(text.replace(f"server_version = {ours}.", "server_version = 10.6."))
    with pytest.raises(CloudbackupError, match=f"the backup is of MariaDB 10.6, mariadb-backup there is of {ours}"):
        drill.run(host, content(packed(unpacked)), options(folder))


def test_a_program_in_an_archive_is_not_loaded(host: LocalHost, unpacked: Path, folder: Path) -> None:
    with (unpacked / "backup-my.cnf").open("a") as own:
        own.write("plugin_dir=./\nplugin_load=evil=evil.so\n")
    (unpacked / "evil.so").touch()
    with pytest.raises(CloudbackupError, match="the data needs the server's plugin evil, and an archive does not say"):
        drill.run(host, content(packed(unpacked)), options(folder))


def test_a_disk_without_room_is_told_before_anything_is_unpacked(host: LocalHost, backup: Path, folder: Path) -> None:
    with pytest.raises(CloudbackupError, match="no room"):
        drill.run(host, content(backup), options(folder, size=10**18))


def test_a_folder_that_an_ordinary_user_cannot_enter_will_do(host: LocalHost, backup: Path, folder: Path) -> None:
    """The server finds it in a root directory of its own."""
    folder.chmod(0o700)
    assert drill.run(host, content(backup), options(folder)).tables > 0


def test_a_drill_beside_the_live_server_never_opens_its_files(
    own_shop: Running, host: LocalHost, folder: Path, tmp_path: Path
) -> None:
    outside = own_shop.server.folder / "outside"
    outside.mkdir()
    shutil.chown(outside, own_shop.server.datadir.stat().st_uid)
    mariadb.query(own_shop.server, f"CREATE TABLE far (id INT PRIMARY KEY) DATA DIRECTORY='{outside}'", "shop")
    mariadb.query(own_shop.server, "INSERT INTO far SELECT seq FROM seq_1_to_1000", "shop")
    stream = saved(own_shop, tmp_path / "backup")
    mariadb.query(own_shop.server, "INSERT INTO far VALUES (2000)", "shop")
    trace = tmp_path / "opened"
    watching = threading.Event()
    watcher = threading.Thread(target=watch, args=(folder, trace, watching))
    watcher.start()
    done = drill.run(host, content(stream), options(folder, "SELECT COUNT(*) = 1000 FROM shop.far"))
    watching.set()
    watcher.join()
    opened = [line.split(" ", 1) for line in trace.read_text().splitlines()]
    assert {program for program, path in opened if path.endswith("shop/far.ibd")} >= {"mariadbd", "mariadb-backup"}
    assert not [path for _, path in opened if path.startswith(str(own_shop.server.folder))]
    assert "shop/far has its file elsewhere" in done.remarks[0]
    assert mariadb.query(own_shop.server, "SELECT COUNT(*) FROM far", "shop") == [["1001"]]


def watch(folder: Path, trace: Path, ended: threading.Event) -> None:
    """Note every file that a program of the drill holds open, again and again, with the program's name."""
    seen: set[str] = set()
    while not ended.wait(0.01):
        for pid in processes(folder):
            try:
                name = Path(f"/proc/{pid}/comm").read_text().strip()
                seen |= {f"{name} {link.readlink()}" for link in Path(f"/proc/{pid}/fd").iterdir()}
            except OSError:
                continue
    trace.write_text("\n".join(sorted(seen)))


def test_the_private_server_is_private_and_goes_with_a_lost_operator(
    host: LocalHost, backup: Path, folder: Path
) -> None:
    """While a query runs that never ends: who the server is, what it knows; then the operator is lost."""
    stream = Stream(content(backup).body, {"BORG_PASSPHRASE": Secret("hunter2")})
    failed: list[BaseException] = []

    def run() -> None:
        try:
            drill.run(host, stream, options(folder, "SELECT SLEEP(600)"))
        except (CloudbackupError, InterruptedRunError) as error:
            failed.append(error)

    runner = threading.Thread(target=run, daemon=True)
    runner.start()
    pid = asleep(folder)
    status = Path(f"/proc/{pid}/status").read_text()
    environment = Path(f"/proc/{pid}/environ").read_bytes()
    line = processes(folder)[pid]
    sockets = [path for path in folder.rglob("s") if path.is_socket()]
    if os.geteuid() == 0:
        assert "Uid:\t0" not in status
    assert b"hunter2" not in environment
    assert "--skip-networking" in line
    assert all(path.parent.stat().st_mode & 0o077 == 0 for path in sockets)
    assert sockets
    host.cancelled.set()
    runner.join(60)
    assert failed
    assert list(folder.iterdir()) == []
    assert not processes(folder)


def test_a_killed_program_takes_its_server_and_its_folder_with_it(host: LocalHost, backup: Path, folder: Path) -> None:
    failed: list[BaseException] = []

    def run() -> None:
        try:
            drill.run(host, content(backup), options(folder, "SELECT SLEEP(600)"))
        except (CloudbackupError, InterruptedRunError) as error:
            failed.append(error)

    runner = threading.Thread(target=run, daemon=True)
    runner.start()
    asleep(folder)
    program = next(pid for pid, line in processes(folder).items() if " prove " in line and "python" in line)
    os.kill(program, signal.SIGKILL)
    runner.join(60)
    assert failed

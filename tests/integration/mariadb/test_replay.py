"""One server's history, saved as it went, and brought back to moments in it."""

import os
import shutil
import signal
import subprocess
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lab import mariadb, programs
from tasks.errors import CloudbackupError, InterruptedRunError, RefusedError
from tasks.mariadb import binlogs, dump, restore, server, unpack
from tasks.mariadb.binlogs import Saved
from tasks.mariadb.host import binlog_format
from tasks.mariadb.point_in_time import Moment, Position, Recovered
from tasks.mariadb.restore import RestoreRequest
from tasks.remote.host import LocalHost
from tasks.remote.script import Script, Stream, quote
from tests.integration.mariadb.archives import Repository
from tests.integration.mariadb.conftest import Running, make

HOST = LocalHost()
# Ten rows a second, each with the second of its own transaction.
TICKS = "INSERT INTO shop.ticks (at) VALUES (UNIX_TIMESTAMP()); DO SLEEP(0.1);\n" * 20_000
TABLES = """
CREATE TABLE shop.ticks (id INT PRIMARY KEY AUTO_INCREMENT, at INT NOT NULL);
CREATE TABLE shop.seen (id INT PRIMARY KEY AUTO_INCREMENT, tick INT NOT NULL);
CREATE TRIGGER shop.tick AFTER INSERT ON shop.ticks FOR EACH ROW INSERT INTO shop.seen (tick) VALUES (NEW.id);
CREATE TABLE shop.wild (what VARCHAR(40) PRIMARY KEY);
CREATE EVENT shop.nightly ON SCHEDULE EVERY 1 SECOND DO INSERT INTO shop.wild VALUES (UUID());
"""
EVERYTHING = """
CREATE USER 'late'@'localhost' IDENTIFIED BY 'x';
GRANT SELECT ON shop.* TO 'late'@'localhost';
CREATE TEMPORARY TABLE shop.scratch (a INT); INSERT INTO shop.scratch VALUES (1), (2), (3);
CREATE TABLE shop.sums AS SELECT SUM(a) AS total FROM shop.scratch;
INSERT INTO shop.sums SELECT a FROM shop.scratch;
ALTER TABLE shop.sums ADD COLUMN (note VARCHAR(20) DEFAULT 'altered'), ADD COLUMN made DATETIME;
UPDATE shop.sums SET made = NOW() LIMIT 2;
FLUSH BINARY LOGS;
INSERT INTO shop.sums (total) SELECT COUNT(*) FROM shop.scratch;
DROP TEMPORARY TABLE shop.scratch;
LOAD DATA LOCAL INFILE '{file}' INTO TABLE shop.wild;
CREATE TABLE shop.big (b LONGBLOB); INSERT INTO shop.big VALUES (REPEAT('x', 3000000));
"""


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@dataclass
class History:
    """A server, and what was saved of it."""

    running: Running
    folder: Path
    logs: list[Path] = field(default_factory=list)
    saved: Saved | None = None
    breaks: list[str] = field(default_factory=list)
    ticker: "subprocess.Popen[bytes] | None" = None

    def query(self, statements: str) -> list[list[str]]:
        return mariadb.query(self.running.server, statements)

    def now(self) -> int:
        return int(self.query("SELECT UNIX_TIMESTAMP()")[0][0])

    def next_second(self) -> int:
        """Wait for rows of a further second, and return it: rows stand before and after it."""
        second = self.now() + 1
        query = f"SELECT COUNT(*) > 2 FROM shop.ticks WHERE at > {second}"
        eventually(lambda: self.query(query) == [["1"]])
        return second

    def ticking(self) -> None:
        client = (programs.find("mariadb"), f"--defaults-file={self.running.server.root_options}")
        script = self.folder / "ticks.sql"
        script.write_text(TICKS)
        with script.open("rb") as statements:
            self.ticker = subprocess.Popen(client, stdin=statements, stderr=subprocess.DEVNULL)

    def quiet(self) -> None:
        assert self.ticker is not None
        self.ticker.kill()
        self.ticker.wait()
        query = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE 'DO SLEEP%'"
        eventually(lambda: self.query(query) == [["0"]])

    def kept(self, stream: Stream, name: str) -> tuple[Path, list[str]]:
        path = self.folder / name
        done = HOST.run(Script(f"({stream.body}) > {quote((str(path),))}", stream.environment))
        assert done.ok, done.error_text
        return path, done.error_text.splitlines()

    def base(self, name: str) -> tuple[Stream, Position]:
        """Make a whole backup."""
        access = self.running.access()
        content = dump.dump(access, server.ask(HOST, access).tools, dump.DumpOptions(16384, checkpoint=False))
        path, said = self.kept(Stream(f"{content.body} | tar -xBOf -", content.environment), name)
        log, offset, gtid = dump.positions(said)["binlog_info"].split("\t")
        found = binlogs.look(HOST, access, log).last
        assert found is not None
        return Stream(quote(("cat", str(path)))), Position(log, int(offset), gtid, found.server, found.created)

    def collect(self, **changes: object) -> None:
        """Archive the binary logs that are new."""
        access = self.running.access(**changes)
        look = binlogs.look(HOST, access, self.saved.last.name if self.saved else None)
        assert self.saved is None or look.last == self.saved.last
        stream = binlogs.archive(access, look.directory, self.saved.last.name if self.saved else "")
        path, said = self.kept(stream, f"logs-{len(self.logs)}")
        told = binlogs.told(said)
        assert told is not None
        self.logs.append(path)
        self.saved, breaks = binlogs.joined(self.saved, *told)
        self.breaks += breaks

    def moment(self, at: int, position: Position | None = None, logs: list[Path] | None = None) -> Moment:
        streams = [Stream(quote(("cat", str(path)))) for path in (self.logs if logs is None else logs)]
        look = binlogs.look(HOST, self.running.access())
        return Moment(datetime.fromtimestamp(at, UTC), streams, position, self.saved, look.options, look.zone)

    def rows(self, at: int) -> list[list[str]]:
        return self.query(f"SELECT id, at FROM shop.ticks WHERE at < {at} ORDER BY id")


def replayed(wanted: RestoreRequest) -> "tuple[Recovered, dict[str, list[list[str]]]]":
    """Restore to a directory, serve it, and return what it holds."""
    folder = Path(tempfile.mkdtemp(prefix="cb-replay-", dir="/tmp"))
    folder.chmod(0o755)
    try:
        _, recovered = restore.to_directory(HOST, wanted, str(folder / "shop"))
        assert recovered is not None
        assert [path.name for path in folder.iterdir()] == ["shop"]
        with mariadb.serving(folder / "shop") as copy:
            queries = {
                "ticks": "SELECT id, at FROM shop.ticks ORDER BY id",
                "seen": "SELECT COUNT(*), MAX(tick) FROM shop.seen",
                "wild": "SELECT what FROM shop.wild ORDER BY 1",
                "sums": "SELECT * FROM shop.sums ORDER BY total, note, made",
                "big": "SELECT LENGTH(b) FROM shop.big",
                "users": "SELECT user FROM mysql.user WHERE user LIKE 'late' OR user LIKE 'cloudbackup%'",
                "events": "SELECT name, status FROM mysql.event",
            }
            held = {}
            for name, query in queries.items():
                try:
                    held[name] = mariadb.query(copy, query)
                except CloudbackupError as error:  # a table that was not made at that moment
                    if "doesn't exist" not in str(error):
                        raise
                    held[name] = []
            return recovered, held
    finally:
        shutil.rmtree(folder)


def crash(running: Running) -> None:
    os.kill(int(running.server.pid_file.read_text()), signal.SIGKILL)
    eventually(lambda: not mariadb.running(running.server))
    running.server.pid_file.unlink()
    running.start()


@dataclass
class Told:
    """The history and its moments."""

    history: History
    first: tuple[Stream, Position]
    second: tuple[Stream, Position]
    early: int  # before a restart and a crash
    late: int  # after them
    values: dict[str, list[list[str]]]
    ticks: dict[int, list[list[str]]]


@pytest.fixture(scope="module")
def told(filled: Path) -> Iterator[Told]:
    folder = Path(tempfile.mkdtemp(prefix="cb-", dir="/tmp"))
    (folder / "saved").mkdir()
    running = make(folder, filled)
    history = History(running, folder / "saved")
    try:
        yield tell(history)
    finally:
        if history.ticker is not None:
            history.ticker.kill()
            history.ticker.wait()
        running.remove()


def tell(history: History) -> Told:
    running = history.running
    history.query(TABLES)
    loaded = history.folder / "rows"
    loaded.write_text("loaded 1\nloaded 2\n")
    history.ticking()
    first = history.base("first")
    history.query("SET GLOBAL gtid_strict_mode = ON, log_bin_compress = ON; FLUSH BINARY LOGS")
    history.query(
        "SET timestamp = UNIX_TIMESTAMP('2030-01-01'); INSERT INTO shop.wild VALUES ('2030'), ('2030 too');"
        "DELETE FROM shop.wild WHERE what = '2030 too'"
    )
    history.query("SET timestamp = 1000000; INSERT INTO shop.wild VALUES ('1970')")
    history.collect()
    history.query(EVERYTHING.format(file=loaded))
    early = history.next_second()
    history.query("INSERT INTO shop.wild VALUES ('after early')")
    history.quiet()
    ticks = {early: history.rows(early)}
    running.stop()
    running.start()
    history.query("SET GLOBAL gtid_strict_mode = OFF, binlog_format = ROW")
    history.collect(exec=["unshare", "-m" if os.geteuid() == 0 else "-rm", "--"])  # as in a container
    history.ticking()
    history.next_second()
    second = history.base("second")
    history.query(
        "FLUSH BINARY LOGS; SET gtid_domain_id = 5, gtid_seq_no = 100; INSERT INTO shop.wild VALUES ('domain 5')"
    )
    crash(running)
    assert history.ticker is not None
    history.ticker.wait()
    history.ticking()
    late = history.next_second()
    history.quiet()
    history.collect()
    ticks[late] = history.rows(late)
    values = {
        "wild": history.query("SELECT what FROM shop.wild ORDER BY 1"),
        "sums": history.query("SELECT * FROM shop.sums ORDER BY total, note, made"),
        "big": [["3000000"]],
        "users": [["late"]],
        "events": [["nightly", "ENABLED"]],
    }
    return Told(history, first, second, early, late, values, ticks)


def test_the_row_is_whole_over_rotations_a_restart_and_a_crash(told: Told) -> None:
    assert told.history.breaks == []
    assert told.history.saved is not None
    assert told.history.saved.chain.name == "binlog.000001"


@pytest.mark.parametrize("begin", ["first", "second"])
def test_a_moment_after_everything_is_reached_from_each_backup(told: Told, begin: str) -> None:
    content, position = getattr(told, begin)
    recovered, held = replayed(RestoreRequest(content, None, told.history.moment(told.late, position)))
    assert held["ticks"] == told.ticks[told.late]
    assert held["seen"] == [[str(len(held["ticks"])), held["ticks"][-1][0]]]
    assert {name: held[name] for name in told.values} == told.values
    assert recovered.odd == (3 if begin == "first" else 0)
    assert recovered.newest is not None
    assert recovered.newest.timestamp() == told.late - 1


def test_the_cut_is_exact_and_without_records_as_well(told: Told) -> None:
    content, _ = told.first
    moment = told.history.moment(told.early)
    _, held = replayed(RestoreRequest(content, None, Moment(moment.at, moment.logs)))
    assert held["ticks"] == told.ticks[told.early]
    assert ["2030"] in held["wild"]
    assert ["1970"] in held["wild"]
    assert ["loaded 2"] in held["wild"]
    assert ["after early"] not in held["wild"]


def refused(told: Told, moment: Moment, content: Stream, says: str) -> None:
    folder = Path(tempfile.mkdtemp(prefix="cb-replay-", dir="/tmp"))
    folder.chmod(0o755)
    try:
        with pytest.raises(RefusedError, match=says):
            restore.to_directory(HOST, RestoreRequest(content, None, moment), str(folder / "shop"))
        assert list(folder.iterdir()) == []
    finally:
        shutil.rmtree(folder)


def test_what_cannot_be_reached_is_refused_with_the_reason(told: Told) -> None:
    history, (content, position) = told.history, told.first
    logs = history.logs
    assert history.saved is not None
    until = int(history.saved.until.timestamp())
    refused(told, history.moment(until + 60, position), content, "cannot be reached, only .*: nothing newer is saved")
    refused(told, history.moment(told.late, position, [logs[0], logs[2]]), content, r"was purged before it was saved")
    refused(told, history.moment(told.late, position, logs[1:]), content, "purged before it was saved")
    refused(told, history.moment(told.early, told.second[1], logs), content, "an older backup|ends after|record says")
    damaged = history.folder / "damaged"
    damaged.write_bytes(logs[1].read_bytes().replace(b"loaded 1", b"loaded 3"))
    refused(
        told, history.moment(told.late, position, [logs[0], damaged, logs[2]]), content, "damaged: a wrong checksum"
    )
    other = Position(position.name, position.offset, position.gtid, position.server, 12345)
    refused(told, history.moment(told.late, other), content, "is of another time than the backup")


def test_a_server_behind_exec_is_not_brought_to_a_moment_in_place(told: Told) -> None:
    content, position = told.first
    wanted = RestoreRequest(content, None, told.history.moment(told.late, position))
    with pytest.raises(RefusedError, match="behind `exec` cannot be brought to a moment in place") as caught:
        restore.in_place(HOST, told.history.running.access(exec=["docker", "exec", "-i", "db"]), wanted)
    assert "--target" in caught.value.remedy


def test_an_operator_lost_in_the_replay_leaves_nothing_and_the_next_run_gets_there(told: Told, tmp_path: Path) -> None:
    content, position = told.first
    moment = told.history.moment(told.late, position)
    host, failed = LocalHost(), list[BaseException]()
    folder = Path(tempfile.mkdtemp(prefix="cb-replay-", dir="/tmp"))
    folder.chmod(0o755)

    def heard(line: str) -> None:
        if line.startswith("replay: replays "):
            found = subprocess.run(("pgrep", "-f", f"^/.*mariadbd .*{folder}"), capture_output=True, check=True)
            os.kill(int(found.stdout), signal.SIGSTOP)  # or it might be through before anybody is lost
            host.cancelled.set()

    def run() -> None:
        try:
            restore.to_directory(host, RestoreRequest(content, None, moment), str(folder / "shop"), heard)
        except (CloudbackupError, InterruptedRunError) as error:
            failed.append(error)

    runner = threading.Thread(target=run, daemon=True)
    try:
        runner.start()
        runner.join(60)
        assert [type(error) for error in failed] == [InterruptedRunError]
        assert list(folder.iterdir()) == []
        assert not subprocess.run(("pgrep", "-f", str(folder)), capture_output=True, check=False).stdout
        _, recovered = restore.to_directory(HOST, RestoreRequest(content, None, moment), str(folder / "shop"))
        assert recovered is not None
        assert recovered.newest == datetime.fromtimestamp(told.late - 1, UTC)
    finally:
        shutil.rmtree(folder)


def test_the_documents_lines_reach_it_with_stock_tools(told: Told, tmp_path: Path) -> None:
    text = (Path(__file__).parents[3] / "docs" / "mariadb.md").read_text()
    lines = text.partition("<!-- a test runs these lines -->\n```bash\n")[2].partition("```")[0].splitlines()
    (content, position), history = told.first, told.history
    with tarfile.open(history.logs[0]) as archive:
        assert position.name in archive.getnames()
    repository = Repository.make(tmp_path)
    folder = Path(tempfile.mkdtemp(prefix="cb-replay-", dir="/tmp"))
    folder.chmod(0o755)
    work = tmp_path / "work"
    work.mkdir()
    try:
        unpack.to_directory(HOST, content, str(folder / "shop"))
        with mariadb.serving(folder / "shop") as copy:
            (tmp_path / ".my.cnf").write_text(copy.root_options.read_text())
            environment = {**os.environ, **repository.environment, "HOME": str(tmp_path), "NEW": str(folder / "shop")}

            def run(line: str, **more: str) -> str:
                words = ("bash", "-euo", "pipefail", "-c", line)
                return subprocess.run(
                    words, cwd=work, env={**environment, **more}, check=True, stdout=subprocess.PIPE, text=True
                ).stdout

            for number, path in enumerate(history.logs[:2]):
                options = ("--stdin-name=binlog.tar", "--content-from-command")
                repository.borg("create", *options, f"::{number}", "--", "cat", str(path))
                run(lines[0], ARCHIVE=str(number))
            name, start = run(lines[1]).split()[:2]
            names = sorted(path.name for path in work.iterdir() if path.name >= name)
            stop, last = stop_of(work, names, told.early)
            assert lines[2].startswith("FILES=")
            files = " ".join(names[: names.index(last) + 1])
            assert f"# at {stop}" in run(lines[3].replace("| less", "| cat"), FILES=files)
            run(lines[4], FILES=files, START=start, STOP=str(stop))
            assert mariadb.query(copy, "SELECT id, at FROM shop.ticks ORDER BY id") == told.ticks[told.early]
            assert ["loaded 2"] in mariadb.query(copy, "SELECT what FROM shop.wild")
    finally:
        shutil.rmtree(folder)


def stop_of(work: Path, names: list[str], at: int) -> tuple[int, str]:
    """Find by eye, as a person would, where the first tick of a second begins."""
    for name in names:
        groups: list[binlog_format.Group] = []
        with (work / name).open("rb") as file:
            binlog_format.read(file, groups.append)
        for group in groups:
            if at <= group.time < at + 5:
                return group.offset, name
    raise AssertionError

"""Statements that a thief puts into the binary logs: a replay runs them with every right, so its walls must hold."""

import io
import shutil
import socket
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from lab import mariadb
from tasks.errors import CloudbackupError
from tasks.mariadb import restore
from tasks.mariadb.point_in_time import Moment
from tasks.mariadb.restore import RestoreRequest
from tasks.remote.script import Stream, quote
from tests.integration.mariadb.conftest import _fresh
from tests.integration.mariadb.hostile.walls import WALLS, person
from tests.integration.mariadb.test_replay import History
from tests.integration.mariadb.test_statements import forge

EVENT = "CREATE EVENT shop.evil ON SCHEDULE EVERY 1 SECOND DO SELECT 1 INTO OUTFILE '{home}/event'"
MASTER = "master_host = '127.0.0.1', master_port = {port}, master_user = 'x'"
HARMLESS = f"INSERT INTO shop.news VALUES ('{'x' * 400}')"


@dataclass
class Stolen:
    """A backup, a moment after it, the archive of binary logs that leads there, and the port that the thief has."""

    content: Stream
    moment: Moment
    logs: Path
    port: int

    def forged(self, folder: Path, statement: str) -> Moment:
        """Return the moment with another statement in the logs."""
        place, hostile = folder / "logs", folder / "logs.tar"
        place.mkdir()
        with tarfile.open(self.logs) as archive, tarfile.open(hostile, "w") as made:
            for member in archive:
                content = archive.extractfile(member)
                assert content is not None
                file = place / member.name
                file.write_bytes(content.read())
                if HARMLESS.encode() in file.read_bytes():
                    forge(file, HARMLESS.encode(), statement.encode())
                member.size = file.stat().st_size
                made.addfile(member, io.BytesIO(file.read_bytes()))
        shutil.rmtree(place)
        return replace(self.moment, logs=[Stream(quote(("cat", str(hostile))))])


@pytest.fixture(scope="module")
def stolen(filled: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stolen]:
    maker = _fresh(filled)
    history = History(next(maker), tmp_path_factory.mktemp("saved"))
    with socket.create_server(("127.0.0.1", 0)) as thief:
        thief.settimeout(0)
        try:
            history.query("SET GLOBAL binlog_format = STATEMENT; CREATE TABLE shop.news (a VARCHAR(500))")
            content, position = history.base("base")
            history.query(HARMLESS)
            second = history.now() + 1
            while history.now() <= second:
                pass
            history.collect()
            yield Stolen(content, history.moment(second, position), history.logs[0], int(thief.getsockname()[1]))
            with pytest.raises(BlockingIOError):  # nobody ever called
                thief.accept()
        finally:
            next(maker, None)


# Statements that a server never logs, and what becomes of them: refused for a reason, or without any effect that stays.
STATEMENTS = {
    "outfile": ("SELECT 'evil' INTO OUTFILE '{home}/evil'", "secure-file-priv"),
    "outfile in the data": ("SELECT 'evil' INTO OUTFILE '{data}/shop/evil.isl'", "secure-file-priv"),
    "load": ("LOAD DATA INFILE '{home}/.ssh/id_ed25519' INTO TABLE shop.news", "secure-file-priv"),
    "load local": ("LOAD DATA LOCAL INFILE '{home}/.ssh/id_ed25519' INTO TABLE shop.news", "local infile"),
    "function": ("CREATE FUNCTION evil RETURNS INTEGER SONAME 'evil.so'", "Can't open shared library"),
    "plugin": ("INSTALL PLUGIN evil SONAME 'evil'", "Can't open shared library"),
    "log": ("SET GLOBAL general_log_file = '{home}/.bashrc', general_log = 1", "can't be set"),
    "log in the data": (
        "SET GLOBAL general_log_file = '{data}/shop/evil.isl', general_log = 1",
        "left 'shop/evil.isl'",
    ),
    "slow log": ("SET GLOBAL slow_query_log_file = '{data}/evil.info', slow_query_log = 1", "left 'evil.info'"),
    "end": ("SHUTDOWN", "the server refuses the transaction"),
    "master": (f"CHANGE MASTER TO {MASTER}\n/*!*/;\nSTART SLAVE\n/*!*/;\nDO SLEEP(1)", "left 'master.info'"),
    "other master": (f"CHANGE MASTER 'evil' TO {MASTER}", "left 'master-evil.info'"),
    "rights": ("UPDATE mysql.global_priv SET Priv = '{{}}'\n/*!*/;\nFLUSH PRIVILEGES", "Access denied"),
    "event": (f"{EVENT}\n/*!*/;\nSET GLOBAL event_scheduler = ON\n/*!*/;\nDO SLEEP(1)", ""),
    "connected": ("SET GLOBAL init_connect = \"SELECT 'evil' INTO OUTFILE '{home}/connected'\"", ""),
    "directory": ("CREATE TABLE shop.far (a INT) ENGINE=InnoDB DATA DIRECTORY = '{data}.replay/tmp'", ""),
    "old directory": ("CREATE TABLE shop.far (a INT) ENGINE=MyISAM DATA DIRECTORY = '{data}.replay/tmp'", ""),
    "harmless": (HARMLESS, ""),
}


@pytest.mark.parametrize("name", STATEMENTS)
def test_no_statement_of_a_forged_log_reaches_beyond_the_replay(
    name: str, stolen: Stolen, folder: Path, tmp_path: Path
) -> None:
    statement, refusal = STATEMENTS[name]
    data = folder / "new"
    with person(folder, "root") as (host, home):
        moment = stolen.forged(tmp_path, statement.format(home=home, data=data, port=stolen.port))
        wanted = RestoreRequest(stolen.content, None, moment)
        if refusal:
            with pytest.raises(CloudbackupError, match=refusal):
                restore.to_directory(host, wanted, str(data))
        else:
            unpacked, _ = restore.to_directory(host, wanted, str(data))
            assert unpacked.walls == WALLS["root"]
    assert sorted(path.name for path in folder.iterdir()) == (["home"] if refusal else ["home", "new"])
    if not refusal:
        with mariadb.serving(data) as copy:
            assert mariadb.query(copy, "SHOW ALL SLAVES STATUS") == []
            assert mariadb.query(copy, "SELECT COUNT(*) FROM shop.news") == [[str(int(name == "harmless"))]]

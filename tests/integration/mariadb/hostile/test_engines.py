"""Tables whose engine reads files or other servers (CONNECT, SPIDER, FEDERATED): behind the walls they reach neither."""

import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lab import mariadb
from tasks.mariadb import drill, dump, server
from tasks.mariadb.archive_server import ArchiveServer, Job, Served, ServeError
from tasks.mariadb.drill import Drilled, DrillError, DrillOptions
from tasks.mariadb.host import tables
from tasks.mariadb.restore import RestoreRequest
from tasks.mariadb.sql_dump import ALWAYS
from tasks.remote.host import LocalHost
from tasks.remote.script import Script, Stream, quote
from tests.integration.mariadb.conftest import make
from tests.integration.mariadb.hostile.walls import WALLS, HostOf, person

# Not installed: they depend on the package that runs a server of the machine's own.
PACKAGES = ("mariadb-server", "mariadb-plugin-connect", "mariadb-plugin-spider", "libodbc2", "libodbcinst2")
OVER = 'mount -t overlay plugins -o "lowerdir=$0:/usr/lib" /usr/lib && exec "$@"'
REMOTE = "mysql://root:x@127.0.0.1:{port}/x/t"
TABLES = {
    "file": "(line VARCHAR(200)) ENGINE=CONNECT TABLE_TYPE=DOS FILE_NAME='{home}/.ssh/id_ed25519'",
    "comma": "(line VARCHAR(200)) ENGINE=CONNECT TABLE_TYPE=CSV FILE_NAME='{home}/.bashrc'",
    "markup": "(line VARCHAR(200)) ENGINE=CONNECT TABLE_TYPE=XML FILE_NAME='{home}/.bashrc' TABNAME='x'",
    "inside": "(a INT) ENGINE=CONNECT TABLE_TYPE=CSV",
    "remote": f"(a INT) ENGINE=CONNECT TABLE_TYPE=MYSQL CONNECTION='{REMOTE}'",
    "odbc": "(a INT) ENGINE=CONNECT TABLE_TYPE=ODBC CONNECTION='DRIVER=x;SERVER=127.0.0.1'",
    "spider": '(a INT PRIMARY KEY) ENGINE=SPIDER COMMENT=\'wrapper "mysql", host "127.0.0.1", port "{port}",'
    ' user "u", password "p", database "d", table "t"\'',
}


ASKED = {
    "file": "secure-file-priv",
    "inside": "answers 0",
    "remote": "FILE privilege",
    "odbc": "Can't open lib",
    "spider": "fails on the restored data",
}


@dataclass(frozen=True)
class Saved:
    content: Stream
    details: dict[str, Any]
    libraries: Path
    thief: socket.socket
    compared: tables.Compared | None


def unpacked(folder: Path) -> Path:
    """Return a folder with the libraries of the packages, as below /usr/lib."""
    download = ("apt-get", "--quiet", "-o", "APT::Sandbox::User=root", "download", *PACKAGES)
    if subprocess.run(download, cwd=folder, capture_output=True, check=False).returncode:
        subprocess.run(("apt-get", "--quiet", "update"), capture_output=True, check=True)
        subprocess.run(download, cwd=folder, capture_output=True, check=True)
    for package in folder.glob("*.deb"):
        subprocess.run(("dpkg", "-x", package, folder / "files"), check=True)
    return folder / "files/usr/lib"


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Saved]:
    folder = Path(tempfile.mkdtemp(prefix="cb-engines-", dir="/tmp"))
    folder.chmod(0o755)
    libraries = unpacked(folder)
    with pytest.MonkeyPatch.context() as patch, closing(socket.create_server(("127.0.0.1", 0))) as thief:
        patch.setenv("LD_LIBRARY_PATH", str(next(libraries.glob("*-linux-gnu"))))
        home = Path(tempfile.mkdtemp(prefix="cb-", dir="/tmp"))
        loads = {"plugin_load_add": "ha_connect;ha_spider", "plugin_dir": str(libraries / "mysql/plugin")}
        running = make(home, None, 1, plugin_maturity="unknown", **loads)
        thief.settimeout(0)
        port = thief.getsockname()[1]
        (folder / "home/.ssh").mkdir(parents=True)  # a server refuses a folder that is not there
        try:
            own = "CREATE TABLE evil.own (a INT); INSERT INTO evil.own VALUES (1)"
            mariadb.query(running.server, f"CREATE DATABASE evil; {own}")
            for name, text in TABLES.items():
                made = text.format(home=folder / "home", port=port)
                view = f"CREATE VIEW evil.v_{name} AS SELECT COUNT(*) AS n FROM evil.`{name}`"
                mariadb.query(running.server, f"CREATE TABLE evil.`{name}` {made}; {view}")
            access, host = running.access(), LocalHost()
            asked = server.ask(host, access)
            content = dump.dump(access, asked.tools, dump.DumpOptions(16384, checkpoint=False, datadir=asked.datadir))
            done = host.run(Script(f"({content.body}) | tar -xBOf - > {folder}/stream", content.environment))
            assert done.ok, done.error_text
            found = tables.compared(done.error_text.splitlines())
        finally:
            running.remove()
            shutil.rmtree(folder / "home")
        while called(thief):
            pass
        yield Saved(Stream(quote(("cat", f"{folder}/stream"))), dict(asked.details), libraries, thief, found)
        shutil.rmtree(folder)


def called(thief: socket.socket) -> bool:
    try:
        thief.accept()[0].close()
    except BlockingIOError:
        return False
    return True


class HostWith(HostOf):
    """A host of root on which the plugins are installed."""

    def __init__(self, home: Path, libraries: Path) -> None:
        super().__init__(home)
        self._prefix = ["unshare", "--mount", "sh", "-c", OVER, str(libraries), *self._prefix]


ABSENT = "whose data is not in the backup: only definitions come back"
NAMED = (
    f"evil.comma, evil.file, evil.inside and 3 more: of the engine CONNECT, {ABSENT}",
    f"evil.spider: of the engine SPIDER, {ABSENT}",
)
DUMPED = [[*ALWAYS, "--", "evil", "own", "file"]]
ASKED_BY_A_PERSON = {"file": "secure-file-priv", "spider": "refuses it: ERROR"}


def test_a_backup_knows_the_tables_whose_data_it_does_not_have(saved: Saved) -> None:
    """Without a privilege on them, and although the archive has every definition."""
    assert saved.compared is not None
    assert saved.compared.missing == 0
    connect = ("file", "comma", "markup", "inside", "remote", "odbc")
    assert saved.compared.known.elsewhere == {
        **{f"evil/{name}": "CONNECT" for name in connect},
        "evil/spider": "SPIDER",
    }


def test_tables_that_are_elsewhere_are_named_and_reach_nothing(saved: Saved, folder: Path) -> None:
    """A verdict on what was in the backup, and the word that these were not; what asks them gets no answer."""
    with person(saved.libraries.parents[2], "root") as (_, home):
        host = HostWith(home, saved.libraries)

        def drilled(query: str) -> Drilled:
            return drill.run(host, saved.content, DrillOptions(1000, (query,), str(folder), server=saved.details))

        done = drilled("SELECT a = 1 FROM evil.own")
        assert done.walls == WALLS["root"]
        assert done.remarks == NAMED
        for name, refusal in ASKED.items():
            with pytest.raises(DrillError, match=refusal):
                drilled(f"SELECT n FROM evil.v_{name}")
        assert not called(saved.thief)
    shutil.rmtree(home)


def test_what_a_private_server_is_asked_for_reaches_nothing_either(saved: Saved, folder: Path) -> None:
    """Definitions come, the rows of other tables too, and whoever names such a table learns why it has none."""
    with person(saved.libraries.parents[2], "root") as (_, inside):
        host = HostWith(inside, saved.libraries)
        request = RestoreRequest(saved.content, server=saved.details)

        def served(name: str, **plan: Any) -> Served:
            return ArchiveServer(host, request, Job(name, plan, str(folder))).run()

        done = served("dump", dumps=[[*ALWAYS, "--", "evil"]])
        assert done.remarks == NAMED
        assert done.walls == WALLS["root"]
        assert done.output.text.count("ENGINE=CONNECT") == 6
        assert re.findall(r"^INSERT INTO `(.*?)`", done.output.text, re.MULTILINE) == ["own"]
        beside = served("tables", database="evil", table=None)
        assert beside.remarks == NAMED
        assert list(beside.digests) == ["own"]
        assert not re.search("CONNECT|SPIDER", beside.output.text)
        for job, plan in (("csv", {"query": "SELECT * FROM evil.file"}), ("dump", {"dumps": DUMPED})):
            with pytest.raises(ServeError, match=r"evil\.file is of the engine CONNECT: its data is not in the backup"):
                served(job, database="evil", table="file", **plan)
        for name, refusal in ASKED_BY_A_PERSON.items():
            with pytest.raises(ServeError, match=refusal):
                served("query", query=f"SELECT * FROM evil.`{name}`")
        assert not called(saved.thief)
    shutil.rmtree(inside)

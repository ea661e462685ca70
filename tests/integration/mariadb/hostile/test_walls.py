"""What a thief who holds an app's host can put into its archives does nothing where it is drilled or restored."""

import json
import os
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import mariadb
from tasks.errors import RefusedError
from tasks.mariadb import drill, unpack
from tasks.mariadb.drill import DrillError, DrillOptions
from tasks.remote import landlock, walled
from tasks.remote.script import Script, Stream, quote
from tasks.remote.secret import Secret
from tasks.remote.walled import Walled
from tests.integration.mariadb.hostile.walls import PEOPLE, SOMEBODY, WALLS, HostOf, person
from tests.integration.mariadb.test_drill import content, saved
from tests.integration.remote.support import eventually

PROGRAMS = {"mbstream", "mariadb-backup", "mariadbd", "mariadb"}


@pytest.fixture
def scratch(folder: Path, who: str) -> Path:
    path = folder / "scratch"
    path.mkdir()
    if who == "ordinary":
        os.chown(path, SOMEBODY, SOMEBODY)
    return path


def behind(host: HostOf, scratch: Path, program: str, *, trust: bool = False) -> tuple[int, str, str]:
    """Run Python behind walls, as a server that obeys a thief would run anything; its exit code and what it says."""
    words = Walled(str(scratch), trust=trust).words(("python3", "-I", "-S", "-c", program))
    output = host.run(Script(quote(words), walled.PROGRAM.environment), timeout=120)
    return output.code, output.text, output.error_text


@PEOPLE
def test_a_program_that_obeys_a_thief_sees_and_reaches_nothing(who: str, folder: Path, scratch: Path) -> None:
    near = folder / "near"
    near.mkdir()
    with person(folder, who) as (host, home), socket.create_server(("127.0.0.1", 0)) as server:
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(str(near / "socket"))
        listening.listen()
        (near / "socket").chmod(0o777)
        program = f"""
import json, os, signal, socket, subprocess
def tried(act):
    try:
        return repr(act())
    except BaseException as error:
        return type(error).__name__
def connected(family, address):
    with socket.socket(family) as client:
        client.connect(address)
acts = {{
    "home": lambda: os.listdir({str(home)!r}),
    "key": lambda: open({str(home / ".ssh/id_ed25519")!r}).read(),
    "bashrc": lambda: open({str(home / ".bashrc")!r}, "a").write("evil"),
    "shadow": lambda: open("/etc/shadow").read(),
    "root": lambda: os.listdir("/root"),
    "beside": lambda: open({str(near / "evil")!r}, "w"),
    "system": lambda: open("/usr/evil", "w"),
    "tcp": lambda: connected(socket.AF_INET, ("127.0.0.1", {server.getsockname()[1]})),
    "unix": lambda: connected(socket.AF_UNIX, {str(near / "socket")!r}),
    "kill": lambda: os.kill({os.getpid()}, 0),
    "through proc": lambda: os.listdir("/proc/1/root" + {str(home)!r}),
    "mount": lambda: subprocess.run(["mount", "-t", "tmpfs", "none", "/usr"], check=True, capture_output=True),
    "become root": lambda: os.setuid(0),
    "make a device": lambda: os.mknod("disk", 0o60666, os.makedev(254, 0)),
    "run its own": lambda: (open("own", "w").write("#!/bin/sh\\n"), os.chmod("own", 0o755), subprocess.run(["./own"])),
}}
found = {{name: tried(act) for name, act in acts.items()}}
open("written", "w").write("in its folder it may")
caps = [line.split()[1] for line in open("/proc/self/status") if line.startswith(("CapEff", "CapBnd", "NoNewPrivs"))]
print(json.dumps([found, caps, len([name for name in os.listdir("/proc") if name.isdigit()]), os.getuid()]))
"""
        code, said, errors = behind(host, scratch, program)
        assert code == 0, errors
        found, capabilities, processes, user = json.loads(said)
        assert all(text.endswith("Error") for text in found.values()), found
        assert capabilities == ["0" * 16, "0" * 16, "1"]
        assert processes <= 3
        assert user == (65534 if who == "root" else SOMEBODY)
        listening.close()
    assert (scratch / "written").read_text() == "in its folder it may"
    assert [path.name for path in near.iterdir()] == ["socket"]


@PEOPLE
def test_what_runs_behind_walls_ends_with_its_starter(who: str, folder: Path, scratch: Path) -> None:
    """Also what went into the background, left its process group and ignores signals."""
    program = """
import os, signal, subprocess, sys, time
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
open("ready", "a").write("x")
time.sleep(600)
"""
    words = Walled(str(scratch)).words(("python3", "-I", "-S", "-c", program))
    with person(folder, who) as (host, _):
        running = host.start(Script(quote(words), walled.PROGRAM.environment, grace=0.5))
        ready = scratch / "ready"
        assert eventually(lambda: ready.exists() and len(ready.read_text()) == 2)
        assert inside(scratch)
        running.end()
        assert eventually(lambda: not inside(scratch))


@PEOPLE
def test_encryption_keys_are_there_under_their_own_name_and_nothing_else_is(
    who: str, folder: Path, scratch: Path
) -> None:
    keys = folder / "etc" / "keys"
    keys.parent.mkdir()
    keys.write_text("1;" + "a7" * 16 + "\n")
    (keys.parent / "other").write_text("secret")
    (scratch / "backup-my.cnf").write_text(f"[mysqld]\nfile_key_management_filename={keys}\n")
    program = f"import os; print(open({str(keys)!r}).read(), os.listdir({str(keys.parent)!r}))"
    words = Walled(str(scratch), keys="backup-my.cnf").words(("python3", "-I", "-S", "-c", program))
    with person(folder, who) as (host, _):
        output = host.run(Script(quote(words), walled.PROGRAM.environment))
        assert output.text.split() == ["1;" + "a7" * 16, "['keys']"], output.error_text
        (scratch / "backup-my.cnf").write_text("file_key_management_filename=/root/.ssh/id_ed25519\n")
        refused = host.run(Script(quote(words), walled.PROGRAM.environment))
    assert refused.code == walled.REFUSED
    assert "wants the file '/root/.ssh/id_ed25519' read as its encryption keys" in refused.error_text


def inside(scratch: Path) -> dict[int, str]:
    """Return the processes whose working directory is a folder, by their names."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if str((entry / "cwd").readlink()).startswith(str(scratch)):
                found[int(entry.name)] = (entry / "comm").read_text().strip()
        except OSError:
            continue
    return found


@pytest.fixture
def chrooted() -> Iterator[Path]:
    """A folder for a root directory in which nobody can make namespaces."""
    elsewhere = Path(tempfile.mkdtemp(prefix="cb-chroot-", dir="/var/tmp"))
    yield elsewhere
    elsewhere.rmdir()


@PEOPLE
def test_without_namespaces_the_kernel_confines_what_runs(
    who: str, folder: Path, scratch: Path, backup: Path, chrooted: Path
) -> None:
    near = folder / "near"
    near.mkdir(mode=0o777)
    near.chmod(0o777)
    (near / "victim").write_text("here")
    (near / "victim").chmod(0o666)
    with person(folder, who, forbidden=chrooted) as (host, home), socket.create_server(("127.0.0.1", 0)) as server:
        program = f"""
import json, os, signal, socket, subprocess
def tried(act):
    try:
        return repr(act())
    except BaseException as error:
        return type(error).__name__
acts = {{
    "home": lambda: os.listdir({str(home)!r}),
    "key": lambda: open({str(home / ".ssh/id_ed25519")!r}).read(),
    "bashrc": lambda: open({str(home / ".bashrc")!r}, "a").write("evil"),
    "shadow": lambda: open("/etc/shadow").read(),
    "beside": lambda: open({str(near / "evil")!r}, "w"),
    "remove": lambda: os.remove({str(near / "victim")!r}),
    "truncate": lambda: os.truncate({str(near / "victim")!r}, 0),
    "move": lambda: os.rename({str(near / "victim")!r}, "mine"),
    "link": lambda: os.link({str(near / "victim")!r}, "mine"),
    "system": lambda: open("/usr/evil", "w"),
    "tcp": lambda: socket.create_connection(("127.0.0.1", {server.getsockname()[1]})),
    "udp": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
    "netlink": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW),
    "kill": lambda: os.kill({os.getpid()}, 0),
    "environment": lambda: open("/proc/{os.getpid()}/environ").read(),
    "through proc": lambda: os.listdir("/proc/{os.getpid()}/cwd/"),
    "namespaces": lambda: subprocess.run(["unshare", "--user", "true"], check=True, capture_output=True),
    "mount": lambda: subprocess.run(["mount", "-t", "tmpfs", "none", "/usr"], check=True, capture_output=True),
    "become root": lambda: os.setuid(0),
    "run its own": lambda: (open("own", "w").write("#!/bin/sh\\n"), os.chmod("own", 0o755), subprocess.run(["./own"])),
}}
found = {{name: tried(act) for name, act in acts.items()}}
open("written", "w").write("in its folder it may")
caps = [line.split()[1] for line in open("/proc/self/status") if line.startswith(("CapEff", "NoNewPrivs"))]
print(json.dumps([found, caps, os.getuid(), os.environ["CLOUDBACKUP_WALLS"]]))
"""
        code, said, errors = behind(host, scratch, program)
        assert code == 0, errors
        found, capabilities, user, walls = json.loads(said)
        assert all(text.endswith("Error") for text in found.values()), found
        assert capabilities == ["0" * 16, "1"]
        assert user == (65534 if who == "root" else SOMEBODY)
        expected = (*(("user nobody",) if who == "root" else ()), "Landlock", "seccomp")
        assert tuple(json.loads(walls)) == expected
        done = drill.run(host, content(backup), DrillOptions(1000, ("SELECT 1",), str(folder)))
        assert done.walls == expected
    assert (scratch / "written").read_text() == "in its folder it may"
    assert [(path.name, path.read_text()) for path in near.iterdir()] == [("victim", "here")]


class Container(HostOf):
    """This machine as root in a container has it that lacks a capability, and may make no namespaces."""

    def __init__(self, home: Path, lacks: str) -> None:
        super().__init__(home)
        self._prefix = ["setpriv", f"--bounding-set=-sys_admin,-{lacks}", *self._prefix]


@pytest.mark.parametrize("lacks", ["setuid", "chown"])
def test_root_that_may_not_become_another_user_runs_what_is_trusted_alone(folder: Path, lacks: str) -> None:
    """The kernel's refusal counted as the end of the command, and nothing was restored even if trusted.

    Without `chown`, a folder cannot be given to that user.
    """
    scratch = folder / "scratch"
    scratch.mkdir()
    program = "print('ran')"
    code, said, errors = behind(Container(folder, lacks), scratch, program)
    assert (code, said, "no walls can be built" in errors) == (66, "", True)
    assert behind(Container(folder, lacks), scratch, program, trust=True) == (0, "ran\n", "")


@pytest.fixture
def no_landlock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that is older than Landlock."""
    text = Path(landlock.__file__).read_text()
    (tmp_path / "landlock.py").write_text(text.replace("return found if found >= OLDEST else 0", "return 0"))
    monkeypatch.setattr(landlock, "__file__", str(tmp_path / "landlock.py"))


@PEOPLE
@pytest.mark.usefixtures("no_landlock")
def test_without_walls_it_is_refused_unless_trusted(who: str, backup: Path, folder: Path, chrooted: Path) -> None:
    with person(folder, who, forbidden=chrooted) as (host, _):
        with pytest.raises(RefusedError, match="no walls can be built for what comes out of the archive") as caught:
            drill.run(host, content(backup), DrillOptions(1000, (), str(folder)))
        assert "--trust-archive" in caught.value.remedy
        with pytest.raises(RefusedError, match="no walls can be built"):
            unpack.to_directory(host, content(backup), str(folder / "new"))
        assert not (folder / "new").exists()
        done = drill.run(host, content(backup), DrillOptions(1000, ("SELECT 1",), str(folder), trust=True))
        assert done.walls == ()
        assert done.tables > 0


HOSTILE = """
SET GLOBAL log_bin_trust_function_creators = 1;
CREATE DATABASE evil;
DELIMITER //
CREATE DEFINER=root@localhost FUNCTION evil.log() RETURNS INT BEGIN
  SET GLOBAL general_log_file = '{home}/.bashrc'; SET GLOBAL general_log = 1; SET GLOBAL general_log = 0; RETURN 1;
END //
CREATE DEFINER=root@localhost FUNCTION evil.outfile() RETURNS INT BEGIN
  SELECT 'evil' INTO OUTFILE '{home}/evil'; RETURN 1;
END //
CREATE DEFINER=root@localhost FUNCTION evil.events() RETURNS INT BEGIN SET GLOBAL event_scheduler = 1; RETURN 1; END //
CREATE DEFINER=root@localhost FUNCTION evil.files() RETURNS INT BEGIN
  RETURN LOAD_FILE('{home}/.ssh/id_ed25519') IS NOT NULL;
END //
CREATE DEFINER=root@localhost FUNCTION evil.rights() RETURNS INT BEGIN
  UPDATE mysql.global_priv SET Priv = '{{"access": 18446744073709551615}}'; RETURN 1;
END //
CREATE DEFINER=root@localhost EVENT evil.event ON SCHEDULE EVERY 1 SECOND DO SELECT 'evil' INTO OUTFILE '{home}/event' //
CREATE TABLE evil.t (id INT PRIMARY KEY) //
CREATE DEFINER=root@localhost TRIGGER evil.trigger_ BEFORE INSERT ON evil.t FOR EACH ROW SET @x = evil.log() //
DELIMITER ;
CREATE DEFINER=root@localhost VIEW evil.v_log AS SELECT evil.log() AS answer;
CREATE DEFINER=root@localhost VIEW evil.v_outfile AS SELECT evil.outfile() AS answer;
CREATE DEFINER=root@localhost VIEW evil.v_events AS SELECT evil.events() AS answer;
CREATE DEFINER=root@localhost VIEW evil.v_files AS SELECT evil.files() AS answer;
CREATE DEFINER=root@localhost VIEW evil.v_good AS SELECT COUNT(*) > 0 AS answer FROM shop.orders;
INSERT INTO mysql.plugin VALUES ('evil', 'evil.so');
INSERT INTO mysql.func VALUES ('evil_udf', 0, 'evil.so', 'function');
INSERT INTO mysql.servers (Server_name, Host, Db, Username, Password, Port, Socket, Wrapper, Owner)
  VALUES ('evil', '127.0.0.1', 'x', 'x', 'x', {port}, '', 'mysql', '');
"""
QUERIES = {
    "SELECT answer FROM evil.v_good": "",
    "SELECT answer FROM evil.v_log": "SUPER|denied",
    "SELECT answer FROM evil.v_outfile": "denied|FILE",
    "SELECT answer FROM evil.v_events": "SUPER|denied|disabled",
    "SELECT answer FROM evil.v_files": "answers 0|denied|FILE",
    "SELECT COUNT(*) = 0 FROM information_schema.PLUGINS WHERE PLUGIN_NAME = 'evil'": "",
    "SELECT evil_udf()": "does not exist",
    "INSERT INTO evil.t VALUES (1)": "denied",
    "SET GLOBAL general_log = 1": "denied",
    "SELECT 1 INTO OUTFILE 'x'": "denied",
    "SELECT 1 = (SELECT @@local_infile = 0 AND @@general_log = 0 AND @@init_connect = '')": "",
}


@pytest.fixture(scope="module")
def hostile(filled: Path) -> Iterator[tuple[Path, Path]]:
    """A backup of a server whose owner is a thief, and the home that he means."""
    from tests.integration.mariadb.conftest import _fresh

    folder = Path(tempfile.mkdtemp(prefix="cb-hostile-", dir="/tmp"))
    folder.chmod(0o1777)
    maker = _fresh(filled)
    running = next(maker)
    try:
        mariadb.query(running.server, HOSTILE.format(home=folder / "home", port=1))
        file = saved(running, folder / "backup")
        file.chmod(0o644)
        yield file, folder
    finally:
        next(maker, None)
        shutil.rmtree(folder)


@PEOPLE
def test_a_thiefs_database_writes_and_reads_nothing_of_the_operators(
    who: str, hostile: tuple[Path, Path], folder: Path
) -> None:
    backup, beside = hostile
    try:
        with person(beside, who) as (host, _):
            for query, refusal in QUERIES.items():
                options = DrillOptions(1000, (query,), str(folder))
                if not refusal:
                    assert drill.run(host, content(backup), options).walls == WALLS[who]
                    continue
                with pytest.raises(DrillError, match=refusal):
                    drill.run(host, content(backup), options)
    finally:
        shutil.rmtree(beside / "home")


@PEOPLE
def test_borg_alone_has_the_passphrase(who: str, backup: Path, folder: Path) -> None:
    secret = f"hunter2-{who}"
    stream = Stream(content(backup).body, {"BORG_PASSPHRASE": Secret(secret), "BORG_REPO": "x"})
    seen: dict[str, bool] = {}
    ended = threading.Event()

    def watch() -> None:
        while not ended.is_set():
            for pid, name in inside(folder).items():
                try:
                    knows = secret.encode() in Path(f"/proc/{pid}/environ").read_bytes()
                except OSError:
                    continue
                seen[name] = seen.get(name, False) or knows
            time.sleep(0.002)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        with person(folder, who) as (host, _):
            drill.run(host, stream, DrillOptions(1000, ("SELECT SLEEP(0.3) = 0",), str(folder)))
    finally:
        ended.set()
        watcher.join()
    assert {name for name, knows in seen.items() if knows} == set()
    assert set(seen) >= PROGRAMS

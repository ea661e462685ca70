"""A whole lab: app hosts, databases, inventory, and that it starts, is found and stops without leaving anything."""

import os
import pwd
import shlex
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lab import database, mariadb, process, state, tree
from lab.lab import Lab, LabApp, scratch_folder
from lab.mariadb import BACKUP_USER, Server
from lab.plan import AppPlan
from tasks.errors import CloudbackupError, UsageError
from tasks.storage.registry import load

APPS = (
    AppPlan("shop", megabytes=2, files_megabytes=1, binlog=True),
    AppPlan("blog", megabytes=1, files_megabytes=1, login="tcp", storage_key="agent"),
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home of the operator's, in which nothing but these tests could write."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(folder := tmp_path_factory.mktemp("home")))
        yield folder


@pytest.fixture(scope="module")
def lab(home: Path) -> Iterator[Lab]:
    assert Path.home() == home
    folder = scratch_folder()
    lab = Lab.start(folder, APPS)
    yield lab
    lab.remove()
    folder.rmdir()


@pytest.fixture
def shop(lab: Lab) -> LabApp:
    return lab.apps["shop"]


def on_host(lab: Lab, app: LabApp, command: str) -> subprocess.CompletedProcess[bytes]:
    """Run a command on an app host as an operator would."""
    known = lab.folder / "operator" / f"known-{app.name}"
    known.write_text(f"[127.0.0.1]:{app.port} {app.host_key}\n")
    options = ("-F", "none", "-o", "BatchMode=yes", "-o", f"UserKnownHostsFile={known}", "-o", "IdentityAgent=none")
    words = ("ssh", *options, "-i", str(lab.operator_key), "-p", str(app.port), "127.0.0.1", command)
    return subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=60)


class TestHosts:
    def test_a_session_has_the_labs_home_and_no_message(self, lab: Lab, shop: LabApp) -> None:
        done = on_host(lab, shop, 'echo "$HOME"; pwd')

        assert done.stdout.decode().splitlines() == [str(shop.home)] * 2
        assert done.stderr == b""

    def test_a_program_in_the_hosts_bin_comes_first(self, lab: Lab, shop: LabApp) -> None:
        program = shop.paths.programs / "borg"
        program.write_text("#!/bin/sh\necho borg 9.9\n")
        program.chmod(0o755)
        try:
            assert on_host(lab, shop, "borg --version").stdout == b"borg 9.9\n"
        finally:
            program.unlink()

    def test_each_host_has_its_own_host_key(self, lab: Lab) -> None:
        assert len({app.host_key for app in lab.apps.values()} | {lab.box.host_key}) == 3

    def test_a_foreign_key_is_refused(self, lab: Lab, shop: LabApp) -> None:
        words = ("ssh", "-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "LogLevel=ERROR")
        where = ("-o", "UserKnownHostsFile=/dev/null", "-o", "IdentityFile=none", "-o", "IdentityAgent=none")
        for _ in range(4):
            done = subprocess.run(
                (*words, *where, "-p", str(shop.port), "127.0.0.1", "id"), capture_output=True, check=False, timeout=60
            )
            assert done.returncode == 255
            assert b"Permission denied (publickey)" in done.stderr

        assert on_host(lab, shop, "echo still in").stdout == b"still in\n"

    def test_sftp_starts_in_the_labs_home(self, lab: Lab, shop: LabApp) -> None:
        on_host(lab, shop, "true")
        known = lab.folder / "operator" / f"known-{shop.name}"
        words = ("sftp", "-q", "-b", "-", "-F", "none", "-o", f"UserKnownHostsFile={known}", "-o", "IdentityAgent=none")
        done = subprocess.run(
            (*words, "-i", str(lab.operator_key), "-P", str(shop.port), "127.0.0.1"),
            input=b"pwd\n",
            capture_output=True,
            check=True,
        )

        assert str(shop.home).encode() in done.stdout


class TestDatabases:
    def test_the_backup_account_has_exactly_the_rights_that_a_backup_needs(self, shop: LabApp) -> None:
        (grants, *others) = mariadb.query(shop.server, f"SHOW GRANTS FOR '{BACKUP_USER}'@'localhost'")

        assert grants[0].startswith(f"GRANT RELOAD, PROCESS, BINLOG MONITOR ON *.* TO `{BACKUP_USER}`@`localhost`")
        assert others == []

    def test_the_option_file_on_the_host_logs_in(self, lab: Lab, shop: LabApp) -> None:
        done = on_host(lab, shop, "mariadb -N -e 'SELECT CURRENT_USER()'")

        assert done.stdout == b"backup@localhost\n", done.stderr
        assert stat.S_IMODE((shop.home / ".my.cnf").stat().st_mode) == 0o600

    def test_the_inventorys_password_logs_in_over_tcp(self, lab: Lab, tmp_path: Path) -> None:
        app = load(lab.inventory).apps["blog"]
        assert app.mariadb is not None
        assert app.mariadb.password is not None
        assert app.mariadb.password.file is not None
        password = app.mariadb.password.file.read_text().removesuffix("\n")
        assert set("'\"\\ $") < set(password)
        options = tmp_path / "options"
        options.write_text(
            f"[client]\nuser={app.mariadb.user}\npassword={mariadb.quoted_option(password)}\n"
            f"host={app.mariadb.host}\nport={app.mariadb.port}\nprotocol=tcp\n"
        )
        words = ("mariadb", f"--defaults-file={options}", "-N", "-e", "SELECT CURRENT_USER()")

        assert subprocess.run(words, capture_output=True, check=True).stdout.startswith(b"backup@")
        assert not (lab.apps["blog"].home / ".my.cnf").exists()

    def test_binary_logs_where_planned(self, lab: Lab) -> None:
        logging = {name: mariadb.query(app.server, "SELECT @@log_bin") for name, app in lab.apps.items()}

        assert logging == {"shop": [["1"]], "blog": [["0"]]}

    def test_a_stock_backup_holds_what_the_fingerprint_tells(self, shop: LabApp, tmp_path: Path) -> None:
        before = database.fingerprint(shop.server)
        copy = scratch_folder()
        try:
            target = f"--target-dir={copy}"
            options = f"--defaults-file={shop.home / '.my.cnf'}"
            for words in (("mariadb-backup", options, "--backup", target), ("mariadb-backup", "--prepare", target)):
                subprocess.run(words, capture_output=True, check=True)
            with mariadb.serving(copy) as server:
                assert database.fingerprint(server, "shop") == before
                mariadb.query(server, "UPDATE visits SET pages = pages + 1 LIMIT 1", "shop")
                assert [line.split(":")[0] for line in tree.differences(before, database.fingerprint(server, "shop"))]
        finally:
            subprocess.run(("rm", "-rf", str(copy)), check=True)
        assert {"orders", "open_orders", "trigger order_placed"} < before.keys()
        assert list(tmp_path.iterdir()) == []

    def test_change_changes_files_and_rows(self, lab: Lab) -> None:
        app = lab.apps["blog"]
        rows, files = database.fingerprint(app.server), tree.fingerprint(app.files)
        app.change(seed=3)

        assert len(tree.differences(rows, database.fingerprint(app.server))) >= 4
        assert tree.differences(files, tree.fingerprint(app.files))

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can run the server as somebody else")
    def test_as_root_the_data_belong_to_nobody(self, shop: LabApp) -> None:
        assert shop.server.datadir.owner() == "nobody"
        assert (shop.server.datadir / "ibdata1").owner() == "nobody"


class TestScripts:
    def test_stop_and_start_through_a_session_that_is_killed(self, lab: Lab, shop: LabApp) -> None:
        app = load(lab.inventory).apps["shop"]
        assert app.mariadb is not None
        before = database.fingerprint(shop.server)

        assert on_host(lab, shop, shlex.join(app.mariadb.stop)).returncode == 0
        assert not mariadb.running(shop.server)
        assert not lab.running
        with pytest.raises(CloudbackupError):
            mariadb.query(shop.server, "SELECT 1")
        assert on_host(lab, shop, shlex.join(app.mariadb.stop)).returncode == 0

        done = on_host(lab, shop, f"{shlex.join(app.mariadb.start)} && kill -9 0")
        assert done.returncode != 0
        assert database.fingerprint(shop.server) == before
        assert lab.running
        assert on_host(lab, shop, shlex.join(app.mariadb.start)).returncode == 0

    def test_a_server_that_cannot_start_says_why(self, lab: Lab, shop: LabApp) -> None:
        mariadb.stop(shop.server, shop.home)
        away = shop.server.datadir.rename(shop.server.datadir.with_name("away"))
        try:
            done = on_host(lab, shop, str(shop.home / "start-mariadb"))
            assert done.returncode == 1
            assert b"MariaDB does not answer; the end of its log" in done.stderr
            assert b"mysql" in done.stderr
        finally:
            away.rename(shop.server.datadir)
            mariadb.start(shop.server, shop.home, {process.MARKER: str(lab.folder)})


class TestInventory:
    def test_it_loads_and_pins_what_runs(self, lab: Lab) -> None:
        inventory = load(lab.inventory)

        assert list(inventory.apps) == ["blog", "shop"]
        assert inventory.apps["shop"].ssh.host_key == lab.apps["shop"].host_key
        assert inventory.apps["shop"].sources == ("files", "mariadb", "binlog")
        assert inventory.apps["blog"].storage_key == "agent"
        assert inventory.storages["box"].kind == "storagebox"
        assert lab.box.host_key == getattr(inventory.storages["box"], "host_key", "")

    def test_secrets_are_for_the_owner_alone(self, lab: Lab) -> None:
        modes = {stat.S_IMODE(path.stat().st_mode) for path in (lab.folder / "operator/secrets").iterdir()}

        assert modes == {0o600}
        assert stat.S_IMODE((lab.folder / "operator").stat().st_mode) == 0o700
        for path in (lab.folder / "state.json", lab.box.paths.settings, lab.apps["shop"].server.root_options):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600


class TestLife:
    def test_another_process_finds_and_reads_it(self, lab: Lab) -> None:
        code = (
            "import sys; from pathlib import Path; from lab.lab import Lab;print(Lab.find(Path(sys.argv[1])).running)"
        )
        checkout = Path(__file__).parents[3]
        words = (sys.executable, "-c", code, str(lab.folder))

        assert subprocess.run(words, cwd=checkout, capture_output=True, check=True).stdout == b"True\n"

    def test_two_at_once_and_one_stops_without_the_other(self, lab: Lab) -> None:
        folder = scratch_folder()
        other = Lab.start(folder, (AppPlan("shop", mariadb=False, files_megabytes=1),))
        try:
            with pytest.raises(UsageError, match="already running"):
                Lab.start(folder, ())
            words = ("ssh", "-F", "none", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-i")
            leaving = "setsid sleep 300 & echo started; sleep 300"
            held = subprocess.Popen(
                (*words, str(other.operator_key), "-p", str(other.apps["shop"].port), "127.0.0.1", leaving),
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            assert held.stdout is not None
            assert held.stdout.readline() == b"started\n"
            assert other.stop() >= 5  # box, sshd, its session, shell, two sleeps
            held.wait(timeout=20)
            held.stdout.close()
            assert other.status() == {"box": False, "sshd shop": False}
            assert _free(other.box.port)
            assert lab.running
            assert Lab.start(folder, ()).running
        finally:
            Lab.find(folder).remove()
            folder.rmdir()

    def test_it_outlives_whoever_started_it(self) -> None:
        folder = scratch_folder()
        code = (
            "import os, signal, sys; from pathlib import Path; from lab.lab import Lab;"
            "Lab.start(Path(sys.argv[1]), ()); os.killpg(0, signal.SIGKILL)"
        )
        words = (sys.executable, "-c", code, str(folder))
        starter = subprocess.run(words, cwd=Path(__file__).parents[3], start_new_session=True, check=False)
        try:
            assert starter.returncode == -9
            assert Lab.find(folder).running
        finally:
            Lab.find(folder).remove()
            folder.rmdir()

    def test_a_number_that_was_given_to_another_process_is_not_ended(self) -> None:
        folder = scratch_folder()
        lab = Lab.start(folder, ())
        lab.stop()
        bystander = subprocess.Popen(("sleep", "300"))
        try:
            known = state.load(folder)
            stale = replace(known.processes["box"], pid=bystander.pid)
            state.save(folder, replace(known, processes={"box": stale}))

            assert Lab.find(folder).status() == {"box": False}
            assert Lab.find(folder).stop() == 0
            assert bystander.poll() is None
        finally:
            bystander.kill()
            bystander.wait()
            Lab.find(folder).remove()
            folder.rmdir()

    def test_a_start_that_fails_leaves_nothing_running(self, monkeypatch: pytest.MonkeyPatch) -> None:
        folder = scratch_folder()

        def fail(server: Server, megabytes: int) -> None:
            raise CloudbackupError(f"no room for {megabytes} MB of {server.app}")

        monkeypatch.setattr(database, "fill", fail)
        with pytest.raises(CloudbackupError, match="no room"):
            Lab.start(folder, APPS[1:])

        assert list(process.members(folder)) == []
        assert all(not daemon.alive for daemon in state.load(folder).processes.values())
        Lab.find(folder).remove()
        folder.rmdir()

    def test_a_folder_that_holds_something_else_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "precious").touch()
        with pytest.raises(UsageError, match="no lab"):
            Lab.start(tmp_path, ())
        assert (tmp_path / "precious").exists()

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
    def test_a_folder_of_somebody_else_is_refused(self, tmp_path: Path) -> None:
        os.chown(tmp_path, 65534, 65534)
        with pytest.raises(UsageError, match="belongs to nobody"):
            Lab.start(tmp_path, ())

    def test_too_long_a_path_for_sockets_is_refused_before_anything_starts(self, tmp_path: Path) -> None:
        folder = tmp_path / ("x" * 90)
        with pytest.raises(UsageError, match="the system allows 107"):
            Lab.start(folder, ())
        assert not folder.exists()

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as somebody else")
    def test_a_folder_that_nobody_may_not_enter_is_refused(self, tmp_path: Path) -> None:
        tmp_path.chmod(0o700)
        with pytest.raises(UsageError, match="may not pass through"):
            Lab.start(tmp_path / "lab", APPS)

    def test_the_operators_own_home_is_left_alone(self, lab: Lab, home: Path) -> None:
        known_hosts = Path(pwd.getpwuid(os.geteuid()).pw_dir, ".ssh/known_hosts")  # ssh asks nobody for HOME
        began = (lab.folder / "state.json").stat().st_mtime - 60

        assert list(home.iterdir()) == []
        assert not known_hosts.exists() or known_hosts.lstat().st_mtime < began


def _free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0

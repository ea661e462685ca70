"""Faults that a test switches, as a real client meets them."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest

from lab.accounts import Account
from lab.faults import Faults
from lab.lab import Lab, LabBox, scratch_folder
from lab.plan import BoxPlan
from tasks.errors import CloudbackupError

from .support import Client, succeeded


def wait_for(condition: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def login_and_wait(client: Client) -> "subprocess.Popen[bytes]":
    """Open a connection that holds: dd has taken its first bytes."""
    held = client.open("dd")
    assert held.stdin is not None
    assert held.stdout is not None
    held.stdin.write(b"x")
    held.stdin.flush()
    assert held.stdout.read(1) == b"x"
    return held


def end(held: "subprocess.Popen[bytes]") -> bytes:
    """End a connection from the client's side; return what it printed as errors."""
    return held.communicate(timeout=30)[1]


class TestConnections:
    def test_the_eleventh_is_refused_and_a_free_place_is_given_again(self, operator: Client, box: LabBox) -> None:
        held = [login_and_wait(operator) for _ in range(10)]
        assert box.faults.open_connections() == 10

        refused = operator.ssh("pwd")
        assert refused.returncode == 255
        assert b"Connection reset by peer" in refused.stderr

        end(held.pop())
        wait_for(lambda: box.faults.open_connections() == 9)
        succeeded(operator.ssh("pwd"))
        for connection in held:
            end(connection)
        wait_for(lambda: box.faults.open_connections() == 0)

    def test_the_limit_can_be_moved(self, operator: Client, box: LabBox) -> None:
        box.faults.connections(0)
        assert operator.ssh("pwd").returncode == 255
        box.faults.connections(None)
        succeeded(operator.ssh("pwd"))

    @pytest.mark.parametrize("scope", ["box", "account"])
    def test_a_box_may_refuse_only_after_the_login_and_count_for_each_account(
        self, tmp_path: Path, scope: Literal["box", "account"]
    ) -> None:
        folder = scratch_folder()
        sub = Account("u100001-sub1", "sub", directory="sub1")
        plan = BoxPlan(accounts=(Account("u100001", "main"), sub), refusal="after-login", connections=1, scope=scope)
        lab = Lab.start(folder, apps=(), box=plan)
        try:
            client = Client(lab.box, tmp_path, "u100001", lab.operator_key)
            held = login_and_wait(client)
            other = Client(lab.box, tmp_path, sub.name, password=sub.password)
            assert (other.ssh("pwd").returncode == 0) is (scope == "account")
            done = client.ssh("pwd")
            assert done.returncode == 255
            assert b"Too many connections" in done.stderr
            end(held)
            wait_for(lambda: lab.box.faults.open_connections() == 0)
            succeeded(client.ssh("pwd"))
        finally:
            lab.remove()
            folder.rmdir()


class TestLostConnections:
    def test_drop_cuts_clients_at_once_and_their_programs_end(self, operator: Client, box: LabBox) -> None:
        held = login_and_wait(operator)

        assert box.faults.drop_connections() == 1
        assert held.wait(timeout=10) == 255
        end(held)
        wait_for(lambda: box.faults.open_connections() == 0 and box.faults.running_commands() == 0)
        succeeded(operator.ssh("pwd"))

    def test_a_backup_cut_on_the_way_leaves_no_archive_and_no_lock(
        self, operator: Client, box: LabBox, data: Path
    ) -> None:
        succeeded(operator.borg("init", "-e", "none", "REPOSITORY"))
        box.faults.drop_after(1_000_000)
        done = operator.borg("create", "REPOSITORY::first", str(data))
        box.faults.drop_after(None)

        assert done.returncode == 2
        assert b"connection closed by remote host" in done.stderr.lower() or b"broken pipe" in done.stderr.lower()
        wait_for(lambda: box.faults.running_commands() == 0)
        assert succeeded(operator.borg("list", "--lock-wait", "10", "REPOSITORY")).stdout == b""

    def test_a_hanging_box_keeps_the_lock(self, operator: Client, box: LabBox, data: Path) -> None:
        succeeded(operator.borg("init", "-e", "none", "REPOSITORY"))
        locks = box.home() / "repository"
        box.faults.latency(0.1)
        create = subprocess.Popen(
            operator.borg_words("create", "REPOSITORY::first", str(data)),
            env=operator.environment(),
            stderr=subprocess.PIPE,
        )
        wait_for((locks / "lock.exclusive").exists)
        box.faults.hang()
        box.faults.latency(0)
        create.kill()
        create.communicate()

        unanswered = operator.ssh("pwd", timeout=2)
        assert unanswered.returncode == 255
        assert b"Connection timed out during banner exchange" in unanswered.stderr
        assert (locks / "lock.exclusive").exists()
        assert box.faults.running_commands() == 1

        box.faults.hang(on=False)
        wait_for(lambda: box.faults.running_commands() == 0)
        assert not (locks / "lock.exclusive").exists()

    def test_latency_holds_back(self, operator: Client, box: LabBox) -> None:
        box.faults.latency(0.2)
        began = time.monotonic()
        succeeded(operator.ssh("pwd"))

        assert time.monotonic() - began > 1.0


class TestIdentity:
    def test_another_host_key_is_noticed(self, operator: Client, box: LabBox) -> None:
        box.faults.other_host_key()
        done = operator.ssh("pwd")

        assert done.returncode == 255
        assert b"Host key verification failed" in done.stderr

    def test_refused_logins(self, operator: Client, box: LabBox) -> None:
        box.faults.refuse_logins()
        done = operator.ssh("pwd")

        assert done.returncode == 255
        assert b"Permission denied (publickey,password)" in done.stderr


def test_clear_ends_all_faults(operator: Client, box: LabBox) -> None:
    box.faults.full()
    box.faults.connections(0)
    box.faults.refuse_logins()
    box.faults.hang()
    box.faults.clear()

    succeeded(operator.ssh("mkdir new"))


def test_a_box_that_is_gone_is_told(tmp_path: Path) -> None:
    with pytest.raises(CloudbackupError, match="does not answer"):
        Faults(tmp_path / "control").full()

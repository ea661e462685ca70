"""A connection on which nothing comes any more and nothing is closed: both ends give it up by themselves."""

import secrets
import threading

import pytest

from tasks.remote import running, script, ssh
from tasks.remote.running import HostError
from tasks.remote.script import Script
from tasks.remote.ssh import SshHost
from tests.integration.remote.conftest import Sshd
from tests.integration.remote.support import Line, eventually, processes_with


def test_both_ends_of_a_silent_connection_give_it_up(sshd: Sshd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh, "KEEPALIVE", 0.2)
    monkeypatch.setattr(ssh, "DEAD_AFTER", 4)
    monkeypatch.setattr(running, "HEARTBEAT", 0.2)
    monkeypatch.setattr(script, "SILENCE", 4)
    line, mark = Line(sshd.port), secrets.token_hex(8)
    host = SshHost(sshd.target(port=line.port))
    try:
        with host.started(Script(f"echo begun; bash -c 'exec -a {mark} sleep 1000'")) as begun:
            assert begun.wait_for(b"begun", 20)
            assert eventually(lambda: bool(processes_with(mark)))
            assert not eventually(lambda: not processes_with(mark), 5)  # a connection that answers is left alone
            line.fall_silent()
            with pytest.raises(HostError, match="the connection was lost") as lost:
                begun.wait(30, 1, threading.Event())
            assert lost.value.transient
        assert eventually(lambda: not processes_with(mark)), "it runs on at the host"
        assert host.run(Script("echo again")).text == "again\n"
    finally:
        host.close()
        line.close()

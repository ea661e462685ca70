"""Logins that take the connection and do something else with it."""

from pathlib import Path

import pytest

from tasks.remote.running import HostError, ScriptTimeoutError
from tasks.remote.script import Script
from tasks.remote.ssh import SshHost
from tests.integration.remote.servers import server


def test_a_login_that_only_swallows_the_script_is_named(tmp_path: Path) -> None:
    """As with `exec fish` in ~/.bashrc: fish reads its input to the end before it runs any of it."""
    with server(tmp_path / "server", ForceCommand="cat >/dev/null") as there:
        host = SshHost(there.target())
        with pytest.raises(ScriptTimeoutError, match="the login did not begin with the script in 2 seconds") as told:
            host.run(Script("true"), timeout=2)
        host.close()
    assert "its start files (`exit`, `exec`)" in told.value.remedy


def test_a_login_without_sftp_is_named(tmp_path: Path) -> None:
    with server(tmp_path / "server", ForceCommand="exit 1") as there:
        host = SshHost(there.target())
        with pytest.raises(HostError, match="no SFTP there: ") as told:
            host.files()
        host.close()
    assert "`Subsystem sftp internal-sftp`" in told.value.remedy

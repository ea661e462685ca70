"""The box's password, when it is the wrong one, is told as that."""

import pytest

from lab.lab import Lab
from lab.plan import MAIN_ACCOUNT
from tasks.remote.secret import Secret
from tasks.remote.ssh import LoginRefusedError, SshHost, SshTarget


def test_a_wrong_password_is_told_as_one(lab: Lab) -> None:
    box = lab.box
    target = SshTarget(f"{MAIN_ACCOUNT}@127.0.0.1", box.port, None, box.host_key, Secret("not the one"))
    host = SshHost(target)
    with pytest.raises(LoginRefusedError, match=f"login was refused for {MAIN_ACCOUNT}: the password is wrong"):
        host.files()
    host.close()

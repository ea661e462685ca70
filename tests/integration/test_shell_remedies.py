"""Commands for a shell that messages print, run as they are printed (tests/unit/test_shell_remedies.py lists all)."""

import os
import re
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from lab import keys, process, sshd
from tasks.app import checks as app_checks
from tasks.errors import CloudbackupError, UsageError
from tasks.inventory.secrets import SecretReference
from tasks.remote import login, secret
from tasks.remote.host import LocalHost
from tasks.remote.host_key import host_key_fault
from tasks.storagebox.install import install_operator_key

if TYPE_CHECKING:
    from tasks.inventory.models import App
    from tasks.remote.files import Files
    from tasks.remote.host_key import HostKeyError
    from tasks.remote.ssh_settings import Settings
    from tasks.remote.ssh_target import SshTarget
    from tasks.run.session import Session

PRINTED = re.compile(r"`([^`]+)`")


def shell(text: str, folder: Path) -> str:
    """Run the one command that a text has in backticks, as it stands; return what it prints."""
    (line,) = PRINTED.findall(text)
    done = subprocess.run(
        ["bash", "-c", line], cwd=folder, env={"PATH": os.environ["PATH"], "HOME": str(folder)},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, (line, done)
    return done.stdout


def key(folder: Path) -> Path:
    """Return a new private key in a folder whose name a shell would take apart."""
    place = folder / "it's a folder"
    place.mkdir()
    keys.make(place / "key", "shop")
    return place / "key"


def test_a_public_key_that_is_not_there_is_made(tmp_path: Path) -> None:
    private = key(tmp_path)
    public = private.with_name("key.pub")
    before = public.read_text().split()[:2]
    public.unlink()
    with pytest.raises(UsageError) as told:
        install_operator_key(cast("Files", None), private, both_ports=False)
    shell(told.value.remedy, tmp_path)
    assert public.read_text().split()[:2] == before


def test_a_key_that_others_may_read_is_closed(tmp_path: Path) -> None:
    private = key(tmp_path)
    private.chmod(0o644)
    with pytest.raises(CloudbackupError) as told:
        login.refuse_open_key(private, "shop")
    shell(told.value.remedy, tmp_path)
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    login.refuse_open_key(private, "shop")


def test_a_host_makes_the_key_that_it_has_not(tmp_path: Path) -> None:
    place = tmp_path / "a home/.ssh/cloudbackup_shop"
    place.parent.mkdir(parents=True)
    session = cast("Session", SimpleNamespace(host=lambda _: LocalHost()))
    app = cast("App", SimpleNamespace(name="shop", host="local"))
    found = app_checks._own_key(session, app, str(place), "u1@box")
    shell(found.remedy, tmp_path)
    assert app_checks._own_key(session, app, str(place), "u1@box").level == "ok"
    assert place.with_name("cloudbackup_shop.pub").read_text().startswith("ssh-ed25519 ")


def test_a_secret_of_the_environment_is_set(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as told:
        secret.resolve(SecretReference.model_validate({"env": "CLOUDBACKUP_NOT_SET"}), "the passphrase")
    line = PRINTED.findall(told.value.remedy)[0]
    assert shell(f"`{line}; printenv CLOUDBACKUP_NOT_SET`", tmp_path) == "...\n"


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """Return the port of a real sshd on this machine."""
    place, port = sshd.HostPaths(tmp_path / "host"), process.free_port()
    keys.make(tmp_path / "login", "operator")
    sshd.prepare(place, port, keys.public(tmp_path / "login"), {})
    daemon = sshd.start(place, {})
    process.wait_until(lambda: process.answers(port), "sshd", daemon, place.log)
    yield port
    process.end_all(lambda: process.descendants([daemon]))


def refused(port: int, verdict: str) -> str:
    """Return the remedy for a host key that is not trusted."""
    known = SimpleNamespace(hostname="127.0.0.1", port=port, alias="", jump=(), command="")
    error, target = SimpleNamespace(reason="", verdict=verdict), SimpleNamespace(host_key=None)
    fault = host_key_fault(
        "shop", cast("SshTarget", target), cast("Settings", known), cast("HostKeyError", error)
    )  # fmt: skip
    return fault.remedy


def test_a_host_key_is_asked_for_and_an_old_one_taken_out(tmp_path: Path, port: int) -> None:
    seen = shell(refused(port, "unknown"), tmp_path)
    assert f"[127.0.0.1]:{port} ssh-ed25519 " in seen
    file = tmp_path / ".ssh/known_hosts"
    file.parent.mkdir()
    file.write_text(seen)
    (line,) = PRINTED.findall(refused(port, "changed"))
    shell(f"`{line} -f {file}`", tmp_path)  # by itself it takes the home of the account, whatever HOME says
    assert "ssh-ed25519" not in file.read_text()


def test_a_new_passphrase_is_long_enough(tmp_path: Path) -> None:
    assert len(shell("`openssl rand -base64 32`", tmp_path).strip()) == 44


def test_who_may_run_a_program_is_shown(tmp_path: Path) -> None:
    assert "ls" in shell("`ls -l $(command -v ls)`", tmp_path)

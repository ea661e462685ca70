"""Hosts as they are found: noisy, foreign, without a cache, with another shell; and places that are not there."""

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tasks.lab.lab import LabApp
from tasks.lab.process import answers
from tests.fault.fleet import Fleet, sshd
from tests.integration.fleet.support import eventually

NOISE = 'echo "Welcome to $(hostname)"\nno-such-command\necho "3 updates can be applied" >&2\n'
SHELL = """#!/bin/sh
case "$SSH_ORIGINAL_COMMAND" in *sftp*) exec /usr/lib/openssh/sftp-server ;; esac
touch {used}
exec dash -c "$SSH_ORIGINAL_COMMAND"
"""


@contextmanager
def added(path: Path, text: str) -> Iterator[None]:
    before = path.read_text()
    path.write_text(before + text)
    try:
        yield
    finally:
        path.write_text(before)


@contextmanager
def configured(app: LabApp, *lines: str) -> Iterator[None]:
    """Let a host's sshd read more lines of configuration."""

    with added(app.paths.ssh / "config", "".join(f"{line}\n" for line in lines)):
        _read_again(app)
        yield
    _read_again(app)


def _read_again(app: LabApp) -> None:
    for pid in sshd(app):
        os.kill(pid, signal.SIGHUP)
    assert eventually(lambda: answers(app.port))


def test_noise_at_login_another_locale_and_a_lost_cache_do_no_harm(fleet: Fleet, tmp_path: Path) -> None:
    app = fleet.host
    banner = tmp_path / "banner"
    banner.write_text("Authorised access only!\n")
    shutil.rmtree(app.home / ".cache/borg")
    noise = NOISE + "export LC_ALL=de_DE.UTF-8 LANG=de_DE.UTF-8\n"
    with added(app.home / ".bashrc", noise), configured(app, f"Banner {banner}"):
        night = fleet.night()
    assert night.code == 0
    assert len(night.made[fleet.victim]) == 2


def test_another_login_shell_does_no_harm(fleet: Fleet, tmp_path: Path) -> None:
    shell = tmp_path / "shell"
    shell.write_text(SHELL.format(used=tmp_path / "used"))
    shell.chmod(0o755)
    with configured(fleet.host, f"ForceCommand {shell}"):
        night = fleet.night()
    assert (tmp_path / "used").exists()
    assert night.code == 0
    assert len(night.made[fleet.victim]) == 2


def test_a_host_without_an_address_fails_alone(fleet: Fleet, tmp_path: Path) -> None:
    lost = fleet.operator.copy(tmp_path / "inventory")
    lost.change(f"apps/{fleet.victim}.yml", lambda app: app.update(host="root@nowhere.invalid"))
    night = fleet.night(operator=lost)
    assert night.code == 3
    assert "there is no host of that name" in night.line(fleet.victim, "files")


def test_a_repository_that_is_gone_is_not_made_anew(fleet: Fleet) -> None:
    place = fleet.repository(fleet.victim)
    aside = place.rename(place.with_name("aside"))
    known = fleet.known.pop(fleet.victim)
    try:
        night = fleet.night(source="files")
        assert not place.exists()
    finally:
        aside.rename(place)
        fleet.known[fleet.victim] = known
    assert night.code == 3
    assert "there is no repository" in night.line(fleet.victim, "files")

"""Hosts as they are found: noisy, foreign, without a cache, with another shell; and places that are not there."""

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from lab import programs
from lab.lab import LabApp
from lab.process import answers
from tests.fault.fleet import Fleet, sshd
from tests.integration.fleet.support import eventually

NOISE = 'echo "Welcome to $(hostname)"\nno-such-command\necho "3 updates can be applied" >&2\n'
SHELL = """#!/bin/sh
case "$SSH_ORIGINAL_COMMAND" in *sftp*) exec /usr/lib/openssh/sftp-server ;; esac
touch {used}
exec {shell} -c "$SSH_ORIGINAL_COMMAND"
"""
CLOCK = '#!/bin/sh\nexec {faketime} -f {off} {borg} "$@"\n'


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
    fleet.lab.box.faults.most_connections()
    with added(app.home / ".bashrc", noise), configured(app, f"Banner {banner}"):
        night = fleet.night()
    assert night.code == 0
    assert len(night.made[fleet.victim]) == 2
    # A Storage Box takes 10, and 8 apps are worked on at once (tasks/run/parallel.py): one for each, one of the operator's.
    assert fleet.lab.box.faults.most_connections() <= len(fleet.lab.apps) + 1


def test_other_login_shells_do_no_harm(fleet: Fleet, tmp_path: Path) -> None:
    shells = dict(zip(fleet.lab.apps, ("dash", "fish"), strict=True))
    with ExitStack() as changes:
        for app, name in shells.items():
            shell = tmp_path / name
            shell.write_text(SHELL.format(used=tmp_path / f"{name}-used", shell=programs.find(name)))
            shell.chmod(0o755)
            changes.enter_context(configured(fleet.lab.apps[app], f"ForceCommand {shell}"))
        night = fleet.night()
    assert all((tmp_path / f"{name}-used").exists() for name in shells.values())
    assert night.code == 0
    assert len(night.made[fleet.victim]) == 2


def test_clocks_that_are_an_hour_off_do_no_harm(fleet: Fleet) -> None:
    wrong = {fleet.victim: "+1h", fleet.other: "-1h"}
    placed = []
    for app, off in wrong.items():
        borg = fleet.lab.apps[app].paths.programs / "borg"
        borg.write_text(CLOCK.format(faketime=programs.find("faketime"), off=off, borg=programs.find("borg")))
        borg.chmod(0o755)
        placed.append(borg)
    night = fleet.night(source="files")
    for borg in placed:
        borg.unlink()
    assert night.code == 0
    rows = fleet.operator.report()
    for app in wrong:
        assert (rows[app, "files"]["status"], rows[app, "files"]["error"]) == ("ok", None)
    again = fleet.night(source="files")  # by clocks that are right again
    assert again.code == 0
    fleet.operator.done("check", "--repository-only")  # nothing looks forged


def test_a_host_without_an_address_fails_alone(fleet: Fleet, tmp_path: Path) -> None:
    lost = fleet.operator.copy(tmp_path / "inventory")
    lost.change(f"apps/{fleet.victim}.yml", lambda app: app.update(host="root@nowhere.invalid"))
    night = fleet.night(operator=lost)
    assert night.code == 3
    assert "the name cannot be resolved" in night.line(fleet.victim, "files")


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

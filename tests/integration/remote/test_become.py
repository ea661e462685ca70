"""Becoming another user on a host: what sudo and doas refuse, and what must not harm."""

import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tasks.errors import CloudbackupError, InterruptedRunError, UsageError
from tasks.remote.become import Become
from tasks.remote.become_fault import BecomeError
from tasks.remote.script import Script
from tasks.remote.ssh import SshHost
from tests.integration.remote.ordinary import LOGIN, OPEN, PASSWORD, SERVICE, Ordinary, ordinary_host
from tests.integration.remote.support import eventually, processes_with

ASKS = f"{LOGIN} ALL=(root) /usr/bin/bash\n"
UNRECORDED = OPEN.replace("/usr", "NOLOG_INPUT: NOLOG_OUTPUT: /usr")
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a host users of its own")


@dataclass(frozen=True)
class Given:
    """A secret as the inventory names it."""

    value: str

    @property
    def env(self) -> str | None:
        return None

    @property
    def file(self) -> Path | None:
        return None

    @property
    def command(self) -> tuple[str, ...]:
        return ("printf", "%s", self.value)


RIGHT, WRONG = Become(password=Given(PASSWORD)), Become(password=Given("another"))


@pytest.fixture(scope="module")
def there() -> Iterator[Ordinary]:
    with ordinary_host() as host:
        yield host


def said(there: Ordinary, become: Become) -> str:
    """Return what a script, and the files, say; or the error, in one line."""
    host = SshHost(there.target(become))
    try:
        told = host.run(Script('echo "$(id -un) $HOME $PWD $SECRET"', {"SECRET": "not logged"}), timeout=60).text
        assert host.command(("cat",), b"as it is\n").text == "as it is\n"
        host.files().write_new("made", b"content")
        mine = host.files().read("made")
        host.files().remove("made")
        return f"{told.strip()} {mine.decode()}"
    except CloudbackupError as error:
        return f"{type(error).__name__}: {error.what} / {error.remedy}"
    finally:
        host.close()
        (there.folder / "etc/doas.conf").write_text("")


@pytest.mark.parametrize(
    ("rules", "become"),
    [
        (OPEN, Become()),
        (OPEN + "Defaults lecture=always\n", Become()),
        (OPEN + "Defaults !use_pty\n", Become()),
        (OPEN + "Defaults log_subcmds\n", Become()),
        (OPEN, RIGHT),  # not asked: the password must not be run as a command
        (ASKS, RIGHT),
        (ASKS + "Defaults lecture=always\n", RIGHT),
        (ASKS + 'Defaults passprompt="Kennwort: ", passprompt_override\n', RIGHT),
        (ASKS + "Defaults timestamp_timeout=0\n", RIGHT),
        (OPEN + f"Defaults log_input, log_output\nDefaults:{LOGIN} !log_input, !log_output\n", Become()),
        (UNRECORDED + "Defaults log_input, log_output\n", Become()),
        (OPEN.replace("/usr", "LOG_INPUT: /usr") + UNRECORDED, Become()),
    ],
)
def test_everything_runs_as_root(there: Ordinary, rules: str, become: Become) -> None:
    there.sudoers(rules)
    assert said(there, become) == "root /root /root not logged content"
    assert "not logged" not in there.sudo_log
    assert PASSWORD not in there.sudo_log


def test_another_user_has_its_own_home(there: Ordinary) -> None:
    there.sudoers(f"{LOGIN} ALL=({SERVICE}) NOPASSWD: /usr/bin/bash\n")
    home = there.folder / "service"
    assert said(there, Become(user=SERVICE)) == f"{SERVICE} {home} {home} not logged content"


def test_doas_does_as_well(there: Ordinary) -> None:
    (there.folder / "etc/doas.conf").write_text(f"permit nopass {LOGIN} as root cmd bash\n")
    assert said(there, Become("doas")) == "root /root /root not logged content"


@pytest.mark.parametrize(
    ("rules", "become", "what", "remedy"),
    [
        (ASKS, Become(), f"sudo asks {LOGIN} for a password", "become: {sudo: {password: "),
        (ASKS, WRONG, f"sudo does not take the password of {LOGIN}", "correct `password`"),
        (OPEN + "Defaults requiretty\n", Become(), "wants a terminal (requiretty)", f"`Defaults:{LOGIN} !requiretty`"),
        ("", RIGHT, f"{LOGIN} may not use sudo", f"`{OPEN.strip()}`"),
        (f"{LOGIN} ALL=NOPASSWD: /usr/bin/borg\n", Become(), "only (root) NOPASSWD: /usr/bin/borg", OPEN.strip()),
        (f"{LOGIN} ALL=/usr/bin/borg\n", RIGHT, "may use sudo, but not to run bash as root", OPEN.strip()),
        (f"{LOGIN} ALL=({SERVICE}) NOPASSWD: ALL\n", Become(), f"only ({SERVICE}) NOPASSWD: ALL", OPEN.strip()),
        (OPEN, Become(user="nobodyhere"), "there is no user nobodyhere", "correct `user`"),
        (OPEN + 'Defaults secure_path="/nonexistent"\n', Become(), "sudo finds no bash", "secure_path"),
        ("gibberish\n", Become(), "its sudoers cannot be read", "visudo -c"),
        (OPEN + "Defaults log_input\n", Become(), "log_input", "`NOLOG_INPUT: NOLOG_OUTPUT:`"),
        (OPEN.replace("/usr", "LOG_INPUT: /usr"), Become(), "the passphrase would stand in its log", "NOLOG_INPUT"),
        (OPEN + "Defaults log_output, !use_pty\n", Become(), "the passphrase would stand in its log", "NOLOG_OUTPUT"),
        (ASKS + "Defaults log_input\n", RIGHT, "the passphrase would stand in its log", "NOLOG_INPUT"),
        (OPEN, Become("doas"), f"{LOGIN} may not run bash as root by doas", "/etc/doas.conf"),
    ],
)
def test_a_refusal_is_one_sentence_and_the_line_that_mends_it(
    there: Ordinary, rules: str, become: Become, what: str, remedy: str
) -> None:
    there.sudoers(rules)
    told = said(there, become)
    assert told.startswith(f"BecomeError: {LOGIN}@127.0.0.1: "), told
    first, _, second = told.partition(" / ")
    assert what in first
    assert remedy in second
    assert "\n" not in told
    assert "not logged" not in there.sudo_log


def test_a_wrong_password_is_tried_once(there: Ordinary) -> None:
    there.sudoers(ASKS)
    said(there, WRONG)
    assert eventually(lambda: "1 incorrect password attempt" in " ".join(there.sudo_log.split()))
    assert "another" not in there.sudo_log


def test_a_sudo_that_the_login_may_not_run_is_named(there: Ordinary) -> None:
    there.sudoers(OPEN)
    host = SshHost(there.target(Become()))
    try:
        with there.without("/usr/bin/sudo"), pytest.raises(BecomeError, match=f"{LOGIN} may not run the program sudo"):
            host.facts()
    finally:
        host.close()


def test_a_password_that_cannot_be_read_is_named(there: Ordinary) -> None:
    there.sudoers(ASKS)
    host = SshHost(there.target(Become(password=Given(""))))
    with pytest.raises(UsageError, match=f"the password for sudo on {LOGIN}@127.0.0.1"):
        host.facts()
    host.close()


def test_ctrl_c_ends_the_wait_for_sudo(there: Ordinary) -> None:
    there.sudoers(ASKS)
    cancelled = threading.Event()
    cancelled.set()
    host = SshHost(there.target(RIGHT), cancelled)
    with pytest.raises(InterruptedRunError):
        host.facts()
    host.close()


@pytest.mark.parametrize("rules", [OPEN, OPEN + "Defaults !use_pty\n"])
@pytest.mark.parametrize("how", ["ends its input", "loses the connection"])
def test_nothing_outlives_the_operator(there: Ordinary, rules: str, how: str) -> None:
    there.sudoers(rules)
    host = SshHost(there.target(Become()))
    mark = f"31{os.getpid()}{len(rules)}{len(how)}"
    running = host.start(Script(f"sleep {mark} & trap 'echo cleaned' EXIT; wait"))
    try:
        assert eventually(lambda: bool(processes_with(f"sleep {mark}")))
        running.end() if how == "ends its input" else host.close()
        assert eventually(lambda: not processes_with(f"sleep {mark}"))
    finally:
        host.close()


def test_a_program_that_ignores_the_end_is_killed(there: Ordinary) -> None:
    there.sudoers(OPEN)
    host = SshHost(there.target(Become()))
    mark = f"32{os.getpid()}"
    running = host.start(Script(f"trap '' TERM; sleep {mark}", grace=1))
    try:
        assert eventually(lambda: bool(processes_with(f"sleep {mark}")))
        running.end()
        assert eventually(lambda: not processes_with(f"sleep {mark}"), 30)
    finally:
        host.close()


def test_no_secret_is_in_a_command_line(there: Ordinary) -> None:
    there.sudoers(ASKS)
    host = SshHost(there.target(RIGHT))
    script = Script("echo up; sleep 60", {"SECRET": "not in the list"})
    running = host.start(script)
    try:
        assert running.wait_for(b"up\n", 30)
        assert processes_with("not in the list") == []
        assert processes_with(PASSWORD) == []
    finally:
        running.end()
        host.close()

"""What sudo says where it cannot be played: other versions, other systems."""

import pytest

from tasks.remote.become_fault import Attempt

SUDO = Attempt("deploy@shop", "deploy", "sudo", "root")
DOAS = Attempt("deploy@shop", "deploy", "doas", "root")


@pytest.mark.parametrize(
    ("attempt", "said", "code", "what"),
    [
        (SUDO, "sh: 1: exec: sudo: not found\n", 127, "sudo is not installed there"),
        (SUDO, "sh: line 1: exec: sudo: not found\n", 127, "sudo is not installed there"),
        (SUDO, "sh: exec: line 0: sudo: not found\n", 127, "sudo is not installed there"),
        (DOAS, "sh: doas: not found\n", 127, "doas is not installed there"),
        (SUDO, "sudo: no tty present and no askpass program specified\n", 1, "wants a terminal"),
        (SUDO, "sudo: sorry, you must have a tty to run sudo\n", 1, "wants a terminal"),
        (SUDO, "deploy is not in the sudoers file.  This incident will be reported.\n", 1, "deploy may not use sudo"),
        (SUDO, "Sorry, user deploy may not run sudo on shop.\n", 1, "deploy may not use sudo"),
        (SUDO, "sudo: bash: command not found\n", 1, "sudo finds no bash there"),
        (
            SUDO,
            'sudo: The "no new privileges" flag is set, which prevents sudo from running as root.\n',
            1,
            "cannot work",
        ),
        (SUDO, "sudo: /usr/bin/sudo must be owned by uid 0 and have the setuid bit set\n", 1, "cannot work"),
        (
            SUDO,
            "sudo: effective uid is not 0, is /usr/bin/sudo on a file system with the 'nosuid' option?",
            1,
            "cannot",
        ),
        (SUDO, "sudo: account validation failure, is your account locked?\n", 1, "account validation failure"),
        (SUDO, "something \x1b[31mnew\n\n", 1, "sudo let deploy not become root: something [31mnew"),
        (SUDO, "", 1, "exit code 1"),
    ],
)
def test_a_refusal_has_its_own_sentence(attempt: Attempt, said: str, code: int, what: str) -> None:
    error = attempt.refused(said, code)
    assert what in error.what
    assert error.what.startswith("deploy@shop: ")
    assert error.remedy
    assert error.what.isprintable()


def test_rights_to_everything_mean_that_bash_is_missing() -> None:
    assert "finds no bash" in SUDO.narrow(["(ALL : ALL) NOPASSWD: ALL"]).what
    assert "finds no bash" in SUDO.narrow(["(root) NOPASSWD: /usr/bin/bash"]).what
    assert "only (www-data) NOPASSWD: ALL" in SUDO.narrow(["(www-data) NOPASSWD: ALL"]).what

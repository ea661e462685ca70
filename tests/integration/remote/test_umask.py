"""The umask of a login: kept, unless it takes rights from the owner itself."""

import subprocess

import pytest

from tasks.remote.script import BASH, Script, render


@pytest.mark.parametrize(
    ("login", "script"), [("0022", "0022"), ("0000", "0000"), ("0077", "0077"), ("0777", "0077"), ("0222", "0077")]
)
def test_a_script_can_use_what_it_makes(login: str, script: str) -> None:
    with subprocess.Popen(
        ["bash", "-c", f'umask {login} && exec "$@"', "login", *BASH], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        start_new_session=True,
    ) as shell:  # fmt: skip
        assert shell.stdin is not None
        assert shell.stdout is not None
        shell.stdin.write(render(Script("umask")).text)
        shell.stdin.flush()  # and stays open: its end would end the script
        begin, said = shell.stdout.readline(), shell.stdout.readline()
    assert begin.endswith(b"-begin\n")
    assert said.decode().strip() == script

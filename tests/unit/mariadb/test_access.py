"""How a tool is called: run for real with a stand-in tool that tells what reached it."""

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.inventory.models import MariaDB
from tasks.mariadb.access import PASSWORD, Access
from tasks.remote.secret import Secret

ONE_LINE = st.text(st.characters(exclude_characters="\0\n\r", exclude_categories=["Cs"]), min_size=1)
STAND_IN = '#!/bin/sh\nprintf \'%s\\n\' "$MYSQL_PWD" "$HOME" "$*"\ncat\n'


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tools")
    (folder / "mariadb-stand-in").write_text(STAND_IN)
    (folder / "mariadb-stand-in").chmod(0o755)
    return folder


def ran(tools: Path, access: Access, statements: str = "", password: str = "") -> list[str]:
    text = access.command(("missing-tool", "mariadb-stand-in"), ("--batch",), statements)
    environment = {"PATH": f"{tools}:{os.environ['PATH']}", "HOME": "/root", PASSWORD: password}
    words = ("bash", "--noprofile", "--norc", "-o", "pipefail", "-c", text)
    return subprocess.run(words, env=environment, capture_output=True, check=True).stdout.decode().split("\n")


@given(ONE_LINE, ONE_LINE)
@settings(deadline=None, max_examples=25)
def test_any_password_and_any_statements_arrive_as_they_are(tools: Path, password: str, statements: str) -> None:
    access = Access(MariaDB(user="backup"), Secret(password))
    assert ran(tools, access, statements, password) == [
        password,
        "/nonexistent",
        "--user=backup --batch",
        statements,
        "",
    ]


def test_through_exec_as_well(tools: Path) -> None:
    access = Access(MariaDB(user="backup", exec=("env", "-u", PASSWORD, "A=b c")), Secret("it's"))
    assert ran(tools, access, password="it's")[:3] == ["it's", "/nonexistent", "--user=backup --batch"]


def test_without_an_account_the_callers_own_option_file_counts(tools: Path) -> None:
    assert ran(tools, Access(MariaDB(socket="/run/s")))[:3] == ["", "/root", "--socket=/run/s --batch"]


def test_the_option_file_stands_first_and_a_port_means_tcp() -> None:
    assert Access(MariaDB(defaults_file="/root/.my.cnf", port=3307)).options() == [
        "--defaults-extra-file=/root/.my.cnf", "--port=3307", "--protocol=tcp",
    ]  # fmt: skip

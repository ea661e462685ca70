"""The command line as people and scripts meet it: wrong usage is one sentence and 2, what hosts say obeys nobody."""

import json
import os
import pty
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.local import local_inventory

CHECKOUT = Path(__file__).parents[2]
PROGRAM = (sys.executable, "-P", str(CHECKOUT / "tasks/program.py"), "--search-root", str(CHECKOUT))
BORG = """#!/bin/sh
# What a thief's borg says: a clipboard, a cleared screen, a turned word, a name that is not UTF-8, a line of ours.
printf '%s\\n' '{"type": "log_message", "levelname": "WARNING", "name": "borg", "message": "srv/\\u001b]52;c;eA==\\u0007\\u202eevil\\udce9\\nshop  files  ok"}' >&2
printf '\\033[2J\\033]0;title\\007 other words\\n' >&2
exec REAL "$@"
"""
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("command line")
    place = local_inventory(folder, folder / "no fault")
    (folder / "bin").mkdir()
    (folder / "bin/borg").write_text(BORG.replace("REAL", str(shutil.which("borg"))))
    (folder / "bin/borg").chmod(0o755)
    environment = {**os.environ, "INVOKE_INVENTORY": str(place), "HOME": str(folder)}
    assert inv(environment, "borg.init").returncode == 0
    return {**environment, "PATH": f"{folder / 'bin'}:{environment['PATH']}"}


def inv(environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run((*PROGRAM, *words), env=environment, capture_output=True, text=True, check=False, timeout=300)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("backup --app", "--app needs a name after it"),
        ("prune --yes --app", "--app needs a name after it"),
        ("backup --app --source files", "--app needs a name after it"),
        ("backup --source", "--source needs a value after it"),
        ("backup --parallel abc", "--parallel needs a number, not `abc`"),
        ("report.history --limit 1.5", "--limit needs a number, not `1.5`"),
        ("--dry backup", "the task's own --dry-run shows what it would do"),
        ("-R prune --yes", "the task's own --dry-run shows what it would do"),
        ("--hide both report", "--hide is an option of Invoke's"),
        ("backup shop", "for the app of that name: `backup --app shop`"),
        ("bakup", "did you mean `backup`?"),
        ("backup --ap shop", "did you mean `--app`?"),
    ],
)
def test_wrong_usage_is_a_sentence_and_2(words: str, said: str, fleet: dict[str, str]) -> None:
    end = inv(fleet, *words.split())
    assert (end.returncode, end.stdout) == (2, "")
    assert said in end.stderr
    assert len(end.stderr.strip().splitlines()) == 1


def test_what_to_do_next_the_version_and_help_without_what_is_refused(fleet: dict[str, str]) -> None:
    assert 8 <= len(inv(fleet).stdout.splitlines()) <= 14
    assert re.fullmatch(r"cloudbackup \d+\.\d+\.\d+\n", inv(fleet, "--version").stdout)
    assert not re.search(r"--(dry|hide|echo|pty|warn-only)\b", inv(fleet, "--help").stdout)


def test_no_task_prints_what_a_terminal_obeys_and_none_complains(fleet: dict[str, str]) -> None:
    tasks = (
        *("backup", "backup --verbose", "backup --app nobody\u202e", "verify", "check", "prune --dry-run", "report"),
        *("report --format json", "report --format html", "report.history", "app.check", "app.list", "borg.list"),
    )
    for words in tasks:
        end = inv(fleet, *words.split())
        said = end.stdout + end.stderr
        assert OBEYED.search(said) is None, (words, said)
        assert not any(line.startswith("shop  files  ok") for line in said.splitlines()), (words, said)
        assert not re.search(r"Pydantic|Warning:|Traceback", said), (words, said)
        if words == "report --format json":
            assert {row["app"] for row in json.loads(end.stdout)["apps"]} == {"shop", "new"}


def test_a_terminal_gets_no_orders_but_ours(fleet: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    heard = bytearray()

    def read(descriptor: int) -> bytes:
        piece = os.read(descriptor, 65536)
        heard.extend(piece)
        return piece

    for name, value in fleet.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TERM", "xterm")
    pty.spawn((*PROGRAM, "backup"), read)
    assert b"\\u001b]52" in heard
    for order in (b"\x1b]", b"\x1b[2J\x1b", b"\x07", "\u202e".encode()):
        assert order not in heard


def test_a_name_of_the_inventory_obeys_nobody(fleet: dict[str, str], tmp_path: Path) -> None:
    shutil.copytree(fleet["INVOKE_INVENTORY"], tmp_path / "inventory")
    (tmp_path / "inventory/apps/\x1b]0;x\x07y.yml").write_text("host: local\n")
    end = inv({**fleet, "INVOKE_INVENTORY": str(tmp_path / "inventory")}, "report")
    assert end.returncode == 2
    assert OBEYED.search(end.stderr) is None


def test_a_reader_that_has_gone_is_no_fault(fleet: dict[str, str]) -> None:
    for words in ("--list", "borg.list", "report"):
        end = subprocess.run(
            ("bash", "-c", '"$@" | :; echo "${PIPESTATUS[0]}"', "-", *PROGRAM, *words.split()),
            env=fleet, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (end.stdout.strip(), "Traceback" in end.stderr) == ("0", False), (words, end)

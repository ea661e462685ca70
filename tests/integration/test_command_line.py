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

from tasks import ns as namespace
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
    (folder / "data" / "\x1b]0;title\x07 \u202e\n").write_text("content")
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
        ("backup --parallel abc", "--parallel needs a number from 0 on, not `abc`"),
        ("report.history --limit 1.5", "--limit needs a number from 0 on, not `1.5`"),
        ("--dry backup", "the task's own --dry-run shows what it would do"),
        ("-R prune --yes", "the task's own --dry-run shows what it would do"),
        ("--hide both report", "--hide is an option of Invoke's"),
        ("--no-dedupe report", "--no-dedupe is an option of Invoke's"),
        ("-c other report", "--collection is an option of Invoke's"),
        ("-f /nowhere report", "a configuration file of Invoke's cannot be read"),
        ("-l -F yaml", "--list-format is one of flat, nested, json"),
        ("-D x -l", "a number is needed, not `x`"),
        ("--list nothing", "there is no collection `nothing`"),
        ("backup --app shop --app", "--app needs a name after it"),
        ("prune --yes --app shop -a --source files", "--app needs a name after it"),
        ("prune --yes --app=", "--app needs a name after it"),
        ("prune --yes -- shop", "no task takes what stands after `--`: `shop`"),
        ("backup --parallel 1_0", "--parallel needs a number from 0 on, not `1_0`"),
        ("backup --parallel \N{ARABIC-INDIC DIGIT THREE}", "--parallel needs a number from 0 on"),
        ("check --max-duration -1", "--max-duration needs a number from 0 on, not `-1`"),
        ("borg.check --last 99999999999", "--last needs a number from 0 on"),
        ("borg.rollback --app shop --to -1", "--to needs a number from 0 on, not `-1`"),
        ("backup shop", "for the app of that name: `backup --app shop`"),
        ("bakup", "did you mean `backup`?"),
        ("help", "there is no task `help`: `inv --list` shows all tasks"),
        ("report --json", "has no option `--json`: `--format json`"),
        ("backup --ap shop", "did you mean `--app`?"),
    ],
)
def test_wrong_usage_is_a_sentence_and_2(words: str, said: str, fleet: dict[str, str]) -> None:
    end = inv(fleet, *words.split())
    assert (end.returncode, end.stdout) == (2, "")
    assert said in end.stderr
    assert len(end.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    "words", [("backup", "--app", ""), ("prune", "--yes", "--app", " "), ("borg.list", "--archive", "")]
)
def test_what_a_script_s_unset_variable_leaves_is_not_all_of_them(
    words: tuple[str, ...], fleet: dict[str, str]
) -> None:
    end = inv(fleet, *words)
    assert (end.returncode, end.stdout) == (2, "")
    assert re.fullmatch(r"--\w+ needs a (name|value) after it\n", end.stderr)


def test_a_long_word_is_not_repeated_whole(fleet: dict[str, str]) -> None:
    for words in (("backup", "--app", "a" * 5000), ("a" * 5000,), ("backup", "--" + "a" * 5000)):
        end = inv(fleet, *words)
        assert (end.returncode, len(end.stderr) < 300) == (2, True)


def test_a_configuration_of_invokes_that_cannot_be_read(fleet: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / ".invoke.yaml").write_text("run: [\n")
    end = inv({**fleet, "HOME": str(tmp_path)}, "report")
    assert (end.returncode, "cannot be read: while parsing" in end.stderr) == (2, True)


def test_what_to_do_next_the_version_and_help_without_what_is_refused(fleet: dict[str, str]) -> None:
    assert 8 <= len(inv(fleet).stdout.splitlines()) <= 14
    assert re.fullmatch(r"cloudbackup \d+\.\d+\.\d+\n", inv(fleet, "--version").stdout)
    assert not re.search(r"--(dry|hide|echo|pty|warn-only)\b", inv(fleet, "--help").stdout)


# Every task. What needs a Storage Box, a database or a question is run up to its refusal here.
TASKS = {
    "app.add": "--app third --host nobody@\u202e.invalid --yes",
    "app.check": "",
    "app.find": "",
    "app.import": "--from nowhere.yaml --host local",
    "app.kubernetes": "--app shop",
    "app.list": "",
    "app.remove": "--app third",
    "app.move": "--app third --host 127.0.0.1 --yes",
    "app.rename": "--app third --to fourth --yes",
    "backup": "--verbose",
    "borg.break-lock": "--app shop",
    "borg.change-passphrase": "--app shop",
    "borg.check": "",
    "borg.compact": "--app shop",
    "borg.confirm-address": "--app shop",
    "borg.create": "",
    "borg.delete": "--app shop --archive nothing --yes",
    "borg.diff": "--app shop --first ARCHIVE --second ARCHIVE",
    "borg.extract": "--app shop --archive ARCHIVE --target FOLDER/extracted",
    "borg.info": "",
    "borg.init": "",
    "borg.key-export": "",
    "borg.list": "--app shop --archive ARCHIVE",
    "borg.mount": "--app shop --folder FOLDER/nowhere --archive ARCHIVE",
    "borg.prune": "--app shop --yes",
    "borg.publish": "--app shop",
    "borg.renew": "--app shop",
    "borg.rollback": "--app shop",
    "borg.umount": "--app shop --folder FOLDER/nowhere",
    "check": "",
    "find": "*",
    "init": "",
    "mariadb.backup": "",
    "mariadb.binlog": "",
    "mariadb.dump": "--app shop",
    "mariadb.open": "--app shop",
    "mariadb.restore": "--app shop",
    "mariadb.verify": "",
    "nightly": "--dry-run",
    "prune": "--dry-run",
    "report.accept": "--app shop --reason \x1b]0;x\x07 --yes",
    "report.history": "",
    "report.serve": "--port 1 --host 192.0.2.1",
    "report.show": "",
    "restore": "--app shop --target FOLDER/restored",
    "schedule.install": "",
    "schedule.show": "",
    "storagebox.access": "",
    "storagebox.accounts": "",
    "storagebox.keys": "",
    "storagebox.probe": "",
    "storagebox.setup": "",
    "storagebox.snapshots": "",
    "storagebox.usage": "",
    "verify": "",
}
NOT_OF_THE_PRODUCT = {"bench", "lab", "demo", "test"}


def test_every_task_is_among_those_whose_output_is_looked_at() -> None:
    names = {name for name in namespace.task_names if name.split(".")[0] not in NOT_OF_THE_PRODUCT}
    assert names == set(TASKS)


def test_no_task_prints_what_a_terminal_obeys_and_none_complains(fleet: dict[str, str]) -> None:
    inv(fleet, "backup")
    archive = inv(fleet, "borg.list", "--app", "shop").stdout.split()[0]
    folder = str(Path(fleet["INVOKE_INVENTORY"]).parent)
    calls = [*TASKS.items(), ("backup", "--app nobody\u202e"), ("backup", "--dry-run")]
    calls += [("report", f"--format {form}") for form in ("json", "html", "csv", "markdown", "prometheus")]

    for call in calls:
        end = inv(fleet, call[0], *call[1].replace("ARCHIVE", archive).replace("FOLDER", folder).split())
        said = end.stdout + end.stderr
        assert OBEYED.search(said) is None, (call, said)
        assert not any(re.match(r"(\S+Z)? *shop +files +ok$", line) for line in said.splitlines()), (call, said)
        assert not re.search(r"Pydantic|Warning:|Traceback|unexpected", said), (call, said)
        assert end.returncode in (0, 2, 3, 4, 5), (call, said)
        assert said, call
        if call[1] == "--format json":
            assert {row["app"] for row in json.loads(end.stdout)["apps"]} == {"shop", "new"}


def test_what_libraries_log_is_printable_as_well(fleet: dict[str, str]) -> None:
    end = inv({**fleet, "INVOKE_DEBUG": "1"}, "report.history", "--app", "x\x1b]0;x\x07")
    assert (end.returncode, "invoke" in end.stderr, OBEYED.search(end.stderr)) == (2, True, None)


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


FULL = [
    *((words, 1) for words in ("--list", "--help", "--version", "", "backup --help", "app.list", "report")),
    ("app.check", 4),
]


def buffered(fleet: dict[str, str], how: str) -> dict[str, str]:
    """Return the environment with Python's output written at once, or at the end; whoever starts us may want either."""
    return {**fleet, "PYTHONUNBUFFERED": how}


@pytest.mark.parametrize("how", ["", "1"])
@pytest.mark.parametrize(("words", "code"), FULL)
def test_a_full_disk_below_standard_output_is_said(words: str, code: int, how: str, fleet: dict[str, str]) -> None:
    with Path("/dev/full").open("w") as full:
        end = subprocess.run(
            (*PROGRAM, *words.split()),
            env=buffered(fleet, how),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (end.returncode, "Traceback" in end.stderr) == (code, False)
    assert "standard output cannot be written: No space left on device\n" in end.stderr


@pytest.mark.parametrize(("words", "code"), [("--list", 0), ("report", 0), ("check", 0), ("backup --app shop", 3)])
def test_closed_streams_harm_nothing(words: str, code: int, fleet: dict[str, str]) -> None:
    """Whoever starts us may close them; the next file would get their numbers, and what borg prints with it."""
    before = inv(fleet, "borg.list", "--app", "shop").stdout.count("shop-files-")
    closed = ("bash", "-c", '"$@" <&- >&- 2>&-', "-", *PROGRAM, *words.split())
    assert subprocess.run(closed, env=fleet, check=False).returncode == code  # this borg warns
    assert inv(fleet, "borg.list", "--app", "shop").stdout.count("shop-files-") == before + words.startswith("backup")
    assert inv(fleet, "borg.check", "--app", "shop").returncode == 0


@pytest.mark.parametrize("how", ["", "1"])
def test_a_reader_that_has_gone_is_no_fault(how: str, fleet: dict[str, str]) -> None:
    for words, code in (("--list", "0"), ("borg.list", "0"), ("report", "0"), ("app.check", "4")):
        end = subprocess.run(
            ("bash", "-c", '"$@" | :; echo "${PIPESTATUS[0]}"', "-", *PROGRAM, *words.split()),
            env=buffered(fleet, how), capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (end.stdout.strip(), "Traceback" in end.stderr) == (code, False), (words, end)

"""`storagebox.probe` against the emulator, as it is known and with each deviation: it says so, and leaves nothing."""

import json
import shutil
import signal
from collections.abc import Iterator

import pytest

from lab.lab import Lab, scratch_folder
from lab.plan import AppPlan
from tests.integration.fleet.support import Operator, eventually, make_ready


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    folder = scratch_folder()
    lab = Lab.start(folder, (AppPlan("shop", mariadb=False, files_megabytes=1),))
    make_ready(lab)
    yield lab
    lab.remove()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def operator(lab: Lab) -> Iterator[Operator]:
    before = there(lab)
    yield Operator(lab.inventory)
    lab.box.faults.clear()
    assert there(lab) == before


def there(lab: Lab) -> set[str]:
    return {str(path.relative_to(lab.box.home())) for path in lab.box.home().rglob("*")}


OTHER_BORG = "`borg-1.4` is borg 1.4"  # on a machine with one borg, the emulator gives it that name too


def different(operator: Operator) -> dict[str, str]:
    end = operator.inv("storagebox.probe", "--format", "json")
    told = json.loads(end.stdout)["assumptions"]
    found = {each["what"]: each["said"] for each in told if each["state"] == "different"}
    assert end.returncode == (3 if found else 0), end.stderr
    return found


def test_the_emulator_is_what_is_assumed(operator: Operator) -> None:
    lines = operator.inv("storagebox.probe").stdout.splitlines()
    wrong = [line for line in lines if line.startswith("different")]
    assert all(OTHER_BORG in line for line in wrong)
    assert f"{18 - len(wrong)} ok, {len(wrong)} different, 6 not tried" in lines
    assert lines[0].startswith("ok         SFTP writes and reads a file below the home")


DEVIATIONS = {
    "home": {"`pwd` answers /home"},
    "refusal": {
        "an unknown command is refused with a known text",
        "two commands in one line are refused",
        "a variable before a command is refused",
        "a redirection is refused",
        "a program by its path is refused",
    },
    "chains": {"two commands in one line are refused"},
    "assignments": {"a variable before a command is refused"},
    "df": {"`df -k` has one row, BSD's columns"},
    "replace": {"SFTP replaces a file at once"},
    "without du": {"`du -sk` counts a folder"},
    "without dd": {"`dd of=` takes standard input"},
    "without sha256sum": {"`sha256sum` gives a file's digest"},
    "without ls": {"`ls` lists a folder"},
    "without borg": {"`borg` alone is borg 1.2"},
    "without borg-1.2": {"`borg-1.2` is borg 1.2"},
}


@pytest.mark.parametrize("deviation", DEVIATIONS)
def test_each_deviation_is_named_and_no_other(lab: Lab, operator: Operator, deviation: str) -> None:
    lab.box.faults.deviate(deviation)
    assert set(different(operator)) - {OTHER_BORG} == DEVIATIONS[deviation]


def test_what_differs_comes_with_a_text_to_paste_that_names_no_account(lab: Lab, operator: Operator) -> None:
    lab.box.faults.deviate("df")
    end = operator.inv("storagebox.probe")
    assert end.returncode == 3
    pasted = end.stdout[end.stdout.index("To report it, paste this:") :]
    assert "not hold of a Storage Box" in pasted
    assert "BSD's columns" in pasted
    assert "u100001" not in pasted
    assert "127.0.0.1" not in pasted


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ended_in_the_middle_it_leaves_nothing(lab: Lab, operator: Operator, number: int) -> None:
    running = operator.start("storagebox.probe")
    assert eventually(lambda: any("cloudbackup-probe-" in name for name in there(lab)))
    running.send_signal(number)
    assert running.wait(60) == 130


def test_a_connection_that_is_lost_in_the_middle_makes_nothing_different(lab: Lab, operator: Operator) -> None:
    running = operator.start("storagebox.probe")
    assert eventually(lambda: any("cloudbackup-probe-" in name for name in there(lab)))
    lab.box.faults.refuse_logins()
    lab.box.faults.drop_connections()
    said, _ = running.communicate(timeout=180)
    lines = said.splitlines()
    wrong = [line for line in lines if line.startswith("different") and OTHER_BORG not in line]
    assert (running.returncode, wrong) == (3, []), said
    assert any(line.startswith("not tried") and "the connection was lost" in line for line in lines), said
    assert "is still on the box" in said
    for path in lab.box.home().glob("cloudbackup-probe-*"):
        shutil.rmtree(path)

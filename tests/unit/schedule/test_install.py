"""What `schedule.install` prints is what systemd and cron read, on any path, and says when by the inventory."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.errors import UsageError
from tasks.inventory.inventory import Inventory
from tasks.schedule import install, show
from tasks.schedule.install import Place
from tasks.storage.registry import load
from tests.unit.inventory.support import APP, MAIN, faults, write

SCHEDULE = 'schedule: {backup: "02:30", prune: sun 04:00, check: 1/7 daily, verify: "sun,wed 02:30", binlog: 5m, jitter: 20m}\n'
LOGS = APP + "mariadb: {binlog: true}\n"


def inventory(folder: Path, main: str = SCHEDULE, app: str = APP) -> Inventory:
    folder.mkdir(exist_ok=True)
    return load(write(folder, MAIN + main, shop=app))


def place(folder: Path) -> Place:
    return Place(Path("/bin/true"), folder, "root", Path("/root"), "laptop")


def analyzed(folder: Path) -> str:
    units = [str(each) for each in sorted(folder.iterdir())]
    done = subprocess.run(
        ["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False, timeout=60
    )
    return done.stderr + ("" if done.returncode == 0 else f"exit {done.returncode}")


@pytest.mark.needs("systemd-analyze")
@pytest.mark.parametrize("name", ["plain", "two words", "100%", 'quo"te', "back\\slash", "$HOME"])
def test_systemd_reads_the_units(tmp_path: Path, name: str) -> None:
    known = inventory(tmp_path / "inventory", app=LOGS)
    units = install.systemd_units(known, place(tmp_path / name))
    assert sorted(units) == [
        "cloudbackup-binlog.service", "cloudbackup-binlog.timer", "cloudbackup.service", "cloudbackup.timer",
    ]  # fmt: skip
    (tmp_path / "units").mkdir()
    for unit, text in units.items():
        (tmp_path / "units" / unit).write_text(text)
    assert analyzed(tmp_path / "units") == ""
    assert re.findall("OnCalendar=(.*)", units["cloudbackup.timer"]) == ["*-*-* 02:30:00", "Sun *-*-* 04:00:00"]
    assert "RandomizedDelaySec=1200\n" in units["cloudbackup.timer"]
    broken = tmp_path / "units" / "cloudbackup.timer"
    broken.write_text(broken.read_text().replace("02:30:00", "02:99"))
    assert "calendar" in analyzed(tmp_path / "units")


@pytest.mark.needs("systemd-analyze")
def test_the_service_is_hardened(tmp_path: Path) -> None:
    unit = tmp_path / "cloudbackup.service"
    unit.write_text(install.systemd_units(inventory(tmp_path), place(tmp_path))[unit.name])
    words = ("systemd-analyze", "security", "--offline=true", "--threshold=80", str(unit))
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout


def test_cron_has_a_line_for_each_time(tmp_path: Path) -> None:
    known = inventory(tmp_path, app=LOGS)
    _, *lines = install.cron_lines(known, place(tmp_path)).splitlines()
    fields = [line.split(maxsplit=5) for line in lines]
    assert [(each[1], *each[2:5]) for each in fields] == [
        ("2", "*", "*", "*"),
        ("4", "*", "*", "0"),
        ("*", "*", "*", "*"),
    ]
    assert 30 <= int(fields[0][0]) <= 50
    assert 0 <= int(fields[1][0]) <= 20
    assert fields[2][0] == "*/5"
    assert lines == install.cron_lines(known, place(tmp_path)).splitlines()[1:]  # the same at each call


@given(name=st.text(st.characters(exclude_characters="\0\n/", exclude_categories=["Cs"]), min_size=1, max_size=20))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_path_is_one_word_for_the_shell_that_cron_starts(tmp_path: Path, name: str) -> None:
    known, where = inventory(tmp_path), Place(Path("/bin/true"), Path("/x", name), "root", Path("/"), "h")
    if not name.isprintable():
        with pytest.raises(UsageError, match="a character in its path"):
            install.cron_lines(known, where)
        return
    line = install.cron_lines(known, where).splitlines()[1]
    command = line[line.index("INVOKE_INVENTORY") :]
    assert not re.search(r"(?<!\\)%", command)  # cron takes it for a line break
    path = f"INVOKE_INVENTORY={Path('/x', name)}"
    assert shlex.split(command.replace("\\%", "%")) == [path, "/bin/true", "nightly", "--quiet"]


def test_nothing_is_ever_due(tmp_path: Path) -> None:
    known = inventory(tmp_path, "schedule: {backup: never, prune: never, check: never, verify: never}\n")
    with pytest.raises(UsageError, match="no task that is ever due"):
        install.cron_lines(known, place(tmp_path))
    assert "never" in show.run(str(tmp_path))
    assert '"due_next": null' in show.run(str(tmp_path), as_json=True)


def test_what_is_wrong_is_named_with_its_line(tmp_path: Path) -> None:
    lines = "schedule:\n  backup: 2:30\n  verify: sunday\n  prun: sun\n  binlog: 5\n"
    found = faults(write(tmp_path, MAIN + lines, shop=APP))
    first = MAIN.count("\n") + 2
    assert [each.split(": ", 1)[0] for each in found] == [f"cloudbackup.yml:{first + number}" for number in range(4)]
    assert "schedule.backup: must be days and a time: 02:30, sun 05:00" in found[0]
    assert "did you mean prune?" in found[2]


def test_units_are_written_and_nothing_is_started(tmp_path: Path) -> None:
    folder = inventory(tmp_path / "inventory").folder
    said = install.run(str(folder), str(tmp_path / "out"), cron=False)
    assert "nothing was started" in said
    assert sorted(each.name for each in (tmp_path / "out").iterdir()) == ["cloudbackup.service", "cloudbackup.timer"]
    assert install.run(str(folder), "", cron=True).count("nightly --quiet") == 2

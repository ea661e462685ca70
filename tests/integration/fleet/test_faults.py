"""What goes wrong for one app is told for that app, and the others are saved."""

import os
import signal
import socket
from pathlib import Path

import pytest

from lab.lab import Lab
from tests.integration.fleet.support import Operator, command_lines, eventually, interrupt, on_host, untimed


def line_of(printed: str, app: str, source: str) -> str:
    return next(line for line in printed.splitlines() if line.split()[:2] == [app, source])


def test_an_unreachable_host_fails_alone(operator: Operator, saved: str, tmp_path: Path) -> None:
    other = operator.copy(tmp_path / "inventory")
    other.change("apps/shop.yml", lambda app: app["ssh"].update(port=1))
    end = other.inv("backup")
    assert end.returncode == 3
    assert "it refuses connections" in line_of(end.stdout, "shop", "files")
    assert line_of(end.stdout, "blog", "mariadb").split()[2] == "ok"
    row = other.report()["shop", "files"]
    assert (row["status"], "it refuses connections" in row["error"]) == ("failed", True)


def test_a_host_that_hangs_delays_nobody(operator: Operator, saved: str, tmp_path: Path) -> None:
    other = operator.copy(tmp_path / "inventory")
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections and never says a word
        other.change("apps/blog.yml", lambda app: app["ssh"].update(port=silent.getsockname()[1]))
        backup = other.start("backup", "--source", "files")
        assert backup.stdout is not None
        first = untimed(backup.stdout.readline())
        assert first.split()[:3] == ["shop", "files", "ok"]
        assert backup.poll() is None
        assert "interrupted" in interrupt(backup)


def test_a_refused_key_and_a_changed_host_key_are_told(lab: Lab, operator: Operator, tmp_path: Path) -> None:
    other = operator.copy(tmp_path / "inventory")
    other.change("apps/shop.yml", lambda app: app["ssh"].update(host_key=lab.box.host_key))
    stranger = lab.box.paths.other_host_key
    other.change("apps/blog.yml", lambda app: app["ssh"].update(key=str(stranger)))
    end = other.inv("backup", "--source", "files")
    assert end.returncode == 4
    assert "host key has changed" in line_of(end.stdout, "shop", "files")
    assert "login was refused" in line_of(end.stdout, "blog", "files")


def test_a_wrong_passphrase_is_told(operator: Operator, saved: str, tmp_path: Path) -> None:
    (tmp_path / "wrong").write_text("not the passphrase\n")
    other = operator.copy(tmp_path / "inventory")
    other.change("apps/shop.yml", lambda app: app.update(passphrase={"file": str(tmp_path / "wrong")}))
    end = other.inv("backup", "--source", "files")
    assert end.returncode == 3
    assert "passphrase" in line_of(end.stdout, "shop", "files")
    assert line_of(end.stdout, "blog", "files").split()[2] == "ok"
    row = other.report("--fresh")["shop", "files"]
    assert (row["status"], "passphrase" in row["error"]) == ("unknown", True)


@pytest.mark.parametrize(("secret", "says"), [("false", "exit code 1"), ("true", "gives nothing")])
def test_a_secret_that_cannot_be_had_fails_its_app_alone(
    operator: Operator, saved: str, tmp_path: Path, secret: str, says: str
) -> None:
    other = operator.copy(tmp_path / "inventory")
    other.change("apps/shop.yml", lambda app: app.update(passphrase={"command": secret}))
    end = other.inv("backup", "--source", "files")
    assert end.returncode == 2
    assert says in line_of(end.stdout, "shop", "files")
    assert line_of(end.stdout, "blog", "files").split()[2] == "ok"


def test_a_missing_or_broken_inventory_is_told(operator: Operator, tmp_path: Path) -> None:
    end = Operator(tmp_path / "none").inv("backup")
    assert (end.returncode, "`inv init` makes a first one" in end.stderr) == (2, True)
    other = operator.copy(tmp_path / "inventory")
    (other.inventory / "apps" / "shop.yml").write_text("host: [\n")
    (other.inventory / "apps" / "blog.yml").write_text("hots: local\npassphrase: hunter2\n")
    end = other.inv("backup")
    assert end.returncode == 2
    assert "apps/shop.yml:2" in end.stderr
    assert "did you mean host?" in end.stderr
    assert "hunter2" not in end.stderr


def test_refused_database_credentials_are_told(operator: Operator, saved: str, tmp_path: Path) -> None:
    (tmp_path / "wrong").write_text("not the password\n")
    other = operator.copy(tmp_path / "inventory")
    other.change("apps/blog.yml", lambda app: app["mariadb"].update(password={"file": str(tmp_path / "wrong")}))
    before = operator.archives("blog")
    end = other.inv("backup", "--app", "blog")
    assert end.returncode == 3
    assert line_of(end.stdout, "blog", "files").split()[2] == "ok"
    assert "refuses the account 'backup@" in line_of(end.stdout, "blog", "mariadb").replace("'@'", "@")
    assert [name for name in operator.archives("blog") if name not in before and "mariadb" in name] == []


def test_a_full_storage_is_told_with_its_remedy(lab: Lab, operator: Operator, saved: str) -> None:
    lab.box.faults.full()
    end = operator.inv("backup", "--app", "shop", "--source", "files")
    assert end.returncode == 4
    assert "full" in line_of(end.stdout, "shop", "files")
    lab.box.faults.clear()
    operator.done("backup", "--app", "shop", "--source", "files")


def test_a_storage_that_is_away_makes_rows_unknown(lab: Lab, operator: Operator, saved: str) -> None:
    lab.box.faults.refuse_logins()
    rows = operator.report()
    assert {row["status"] for row in rows.values()} == {"unknown"}
    assert all(row["error"] for row in rows.values())
    assert len(rows) == 4
    assert operator.inv("report", "--strict").returncode == 3
    lab.box.faults.clear()
    assert "unknown" not in {row["status"] for row in operator.report().values()}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("backup", "--app", "shpo"), "no app `shpo`; did you mean"),
        (("backup", "--source", "postgres"), "no source `postgres`"),
        (("backup", "--parallel", "99"), "--parallel 99"),
        (("backup", "--part", "9/3"), "no part"),
        (
            ("restore", "--app", "shop", "--archive", "shop-files-2001-01-01T00-00-00", "--target", "/tmp/x"),
            "has no archive",
        ),
        (("restore", "--app", "shop"), "--yes"),
        (("restore", "--app", "shop", "--target", "relative"), "must begin with /"),
        (("restore", "--app", "shop", "--to", "moon", "--target", "/tmp/x"), "--to moon"),
        (("report", "--format", "xml"), "no format `xml`"),
        (("storagebox.usage", "--storage", "bx"), "no storage `bx`"),
    ],
)
def test_wrong_usage_exits_with_2_and_one_message(operator: Operator, words: tuple[str, ...], says: str) -> None:
    end = operator.inv(*words)
    assert end.returncode == 2, end.stderr
    assert says in end.stderr
    assert "Traceback" not in end.stderr


def test_a_restore_never_writes_into_a_folder_with_something_in_it(
    operator: Operator, saved: str, tmp_path: Path
) -> None:
    (tmp_path / "mine").write_text("precious")
    for source in ("files", "mariadb"):
        end = operator.inv("restore", "--app", "shop", "--source", source, "--target", str(tmp_path))
        assert end.returncode == 2, end.stdout + end.stderr
        assert "not empty" in end.stdout + end.stderr
    assert (tmp_path / "mine").read_text() == "precious"
    assert len(list(tmp_path.iterdir())) == 1


def test_ctrl_c_leaves_no_archive_no_lock_and_no_process(lab: Lab, operator: Operator, saved: str) -> None:
    before = operator.archives("shop")
    lab.box.faults.latency(0.4)
    running = operator.start("backup", "--app", "shop")
    assert eventually(lambda: bool(on_host(lab, "shop", "create")), 90)
    printed = interrupt(running)
    assert running.returncode == 130, printed
    assert "Traceback" not in printed
    assert eventually(lambda: not on_host(lab, "shop"))
    lab.box.faults.clear()
    assert eventually(lambda: lab.box.faults.running_commands() == 0)
    assert operator.archives("shop") == before
    operator.done("backup", "--app", "shop", "--source", "files")


def test_a_killed_operator_leaves_no_archive_no_lock_and_no_process(lab: Lab, operator: Operator, saved: str) -> None:
    before = operator.archives("shop")
    lab.box.faults.latency(0.4)
    running = operator.start("backup", "--app", "shop", "--source", "files")
    assert eventually(lambda: bool(on_host(lab, "shop", "create")), 90)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    assert eventually(lambda: not on_host(lab, "shop"))
    lab.box.faults.clear()
    assert operator.archives("shop") == before
    operator.done("backup", "--app", "shop", "--source", "files")


def test_commands_around_a_backup_run_even_when_the_operator_is_killed(
    lab: Lab, operator: Operator, saved: str, tmp_path: Path
) -> None:
    other = operator.copy(tmp_path / "inventory")
    trace = tmp_path / "trace"
    say = ["sh", "-c", f'echo "$0" >> {trace}']
    other.change("apps/blog.yml", lambda app: app.update(before=[[*say, "before"]], after=[[*say, "after"]]))
    other.done("backup", "--app", "blog", "--source", "files")
    assert trace.read_text().split() == ["before", "after"]
    lab.box.faults.latency(0.4)
    running = other.start("backup", "--app", "blog", "--source", "files")
    assert eventually(lambda: bool(on_host(lab, "blog", "create")), 90)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    assert eventually(lambda: trace.read_text().split() == ["before", "after"] * 2)
    lab.box.faults.clear()


def test_a_failing_command_before_the_backup_saves_nothing_and_runs_after(
    operator: Operator, saved: str, tmp_path: Path
) -> None:
    other = operator.copy(tmp_path / "inventory")
    other.change("apps/blog.yml", lambda app: app.update(before=["false"], after=[f"touch {tmp_path}/after"]))
    end = other.inv("backup", "--app", "blog", "--source", "files")
    assert end.returncode == 4
    assert "a command before the backup failed: false" in line_of(end.stdout, "blog", "files")
    assert (tmp_path / "after").exists()


def test_nothing_of_the_tests_runs_on(lab: Lab) -> None:
    mine = str(lab.folder)
    assert eventually(lambda: not [line for _, line in command_lines() if mine in line and "--backup" in line])
    assert eventually(lambda: lab.box.faults.running_commands() == 0)

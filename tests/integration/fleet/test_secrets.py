"""No secret shows: not in a command line of any process, not in output, dry runs, records or logs."""

import threading
from pathlib import Path

from lab.lab import Lab
from tests.integration.fleet.support import Operator, command_lines


def secrets_of(lab: Lab) -> list[str]:
    return [file.read_text().strip() for file in (lab.folder / "operator" / "secrets").iterdir()]


def test_no_process_and_no_output_holds_a_secret(lab: Lab, operator: Operator, saved: str, tmp_path: Path) -> None:
    hidden = secrets_of(lab)
    assert len(hidden) >= 3
    seen: set[str] = set()
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.01):
            seen.update(line for _, line in command_lines())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        ends = [operator.inv("backup"), operator.inv("backup", "--dry-run", "--verbose"), operator.inv("report")]
        ends.append(operator.inv("restore", "--app", "blog", "--to", "local", "--target", str(tmp_path / "restored")))
    finally:
        over.set()
        watcher.join()
    assert [end.returncode for end in ends] == [0, 0, 0, 0]
    assert any("borg" in line and "create" in line for line in seen)
    assert any("mariadb-backup" in line for line in seen)
    printed = "".join(end.stdout + end.stderr for end in ends)
    records = "".join(path.read_text() for path in lab.box.home().rglob("records/*/*.json"))
    logs = "".join(path.read_text(errors="replace") for path in Path(lab.folder).rglob("*.log"))
    assert records
    for secret in hidden:
        assert not any(secret in line for line in seen)
        assert secret not in printed
        assert secret not in records
        assert secret not in logs


def test_a_dry_run_shows_the_commands_and_changes_nothing(operator: Operator, saved: str) -> None:
    before = operator.archives("shop")
    short = operator.done("backup", "--app", "shop", "--dry-run").splitlines()
    assert [line.split(": would save ")[0] for line in short] == ["shop files", "shop mariadb"]
    assert len(short) == 2
    printed = operator.done("backup", "--app", "shop", "--dry-run", "--verbose")
    assert "borg --log-json" in printed
    assert "mariadb-backup" in printed
    assert "BORG_PASSPHRASE=***" in printed
    assert operator.archives("shop") == before

"""The service and the timer of the local example, as systemd itself reads them."""

import subprocess
from pathlib import Path

import pytest

from tests.unit.examples.objects import CHECKOUT

EXAMPLE = CHECKOUT / "examples/local-backup"


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """Return a folder with the units of a checkout that lies here."""
    for unit in ("cloudbackup.service", "cloudbackup.timer"):
        (tmp_path / unit).write_text((EXAMPLE / unit).read_text().replace("/opt/cloudbackup", str(CHECKOUT)))
    return tmp_path


def analyze(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(("systemd-analyze", *words), capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.needs("systemd-analyze")
def test_systemd_finds_no_fault(units: Path) -> None:
    done = analyze("verify", str(units / "cloudbackup.service"), str(units / "cloudbackup.timer"))
    assert (done.returncode, done.stderr) == (0, "")
    (units / "cloudbackup.timer").write_text((units / "cloudbackup.timer").read_text().replace("03:00:00", "03:99"))
    assert "calendar" in analyze("verify", str(units / "cloudbackup.timer")).stderr


@pytest.mark.needs("systemd-analyze")
def test_the_service_is_locked_in(units: Path) -> None:
    done = analyze("security", "--offline=true", "--threshold=30", str(units / "cloudbackup.service"))
    assert done.returncode == 0, done.stdout

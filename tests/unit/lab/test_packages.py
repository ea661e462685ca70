"""What is installed for the lab, and what is refused so that the machine's own servers stay as they are."""

import pytest

from tasks.lab import packages

PLAN = """Reading package lists...
Inst mariadb-server-core [1:10.11.18-0+deb12u1] (1:10.11.19-0+deb12u1 Debian:12/stable [amd64]) []
Remv galera-4 [26.4.13-1]
Inst borgbackup (1.2.4-1 Debian:12.11/oldstable [amd64])
Conf borgbackup (1.2.4-1 Debian:12.11/oldstable [amd64])
"""


def test_upgrades_and_removals_are_told_from_new_packages() -> None:
    assert packages.changed_by(PLAN) == ("mariadb-server-core", "galera-4")


def test_nothing_missing_says_nothing_and_calls_nothing(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("subprocess.run", None)
    packages.ensure(*packages.PACKAGE_OF, why="this test")
    assert capfd.readouterr() == ("", "")


def test_the_server_comes_without_a_service() -> None:
    assert "mariadb-server" not in packages.PACKAGE_OF.values()

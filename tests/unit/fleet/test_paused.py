"""What is left to do while the only app with a source is paused: nothing, which is no fault."""

from pathlib import Path

import pytest

import tasks.fleet.backup as fleet_backup
import tasks.fleet.prune as fleet_prune
import tasks.fleet.verify as fleet_verify
from tasks.errors import UsageError
from tasks.run.session import Session
from tasks.storage.registry import load
from tests.unit.inventory.support import APP, write

DATABASE = f"{APP}mariadb: {{binlog: true, user: backup, password: {{env: SHOP}}}}\nkeep: {{daily: 7}}\n"


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session(load(write(tmp_path, blog=APP, shop=f"{DATABASE}paused: 9999-12-31\n")))


@pytest.mark.parametrize("part", [None, "1/2", "2/2"])
def test_nothing_to_do_is_no_fault(session: Session, part: str | None) -> None:
    assert fleet_backup._selected(session, fleet_backup.Options(sources=["binlog"], part=part)) == ()
    assert fleet_verify._selected(session, fleet_verify.Options(sources=["mariadb"], part=part)) == ()
    assert fleet_prune._selected(session, fleet_prune.Options()) == ()


def test_a_source_that_no_app_has_is_one(session: Session) -> None:
    with pytest.raises(UsageError, match="none of the apps has a source binlog"):
        fleet_backup._selected(session, fleet_backup.Options(["blog"], ["binlog"]))
    with pytest.raises(UsageError, match="none of the apps has a `keep`"):
        fleet_prune._selected(session, fleet_prune.Options(["blog"]))

"""Which faults of a backup are tried again, and how often."""

from datetime import UTC, datetime, timedelta
from threading import Event
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tasks.errors import AppError, CloudbackupError
from tasks.fleet import app_backup
from tasks.fleet.app_backup import AppBackup
from tasks.mariadb import errors
from tasks.run import clocks
from tasks.run.outcome import Outcome
from tasks.run.session import Session
from tasks.sources import save as sources_save

LOCKED = errors.error("cloudbackup: no lock after 600 s", "shop")
REBUILT = errors.error("DDL was executed during the backup, please retry", "shop")
FULL = errors.error("No space left on device", "shop")
LOST = AppError("the connection was lost", transient=True)


@pytest.mark.parametrize(
    ("error", "failures_first", "tries", "status"),
    [
        (LOCKED, 1, 2, "ok"),
        (LOCKED, 9, 2, "failed"),
        (REBUILT, 9, 2, "failed"),
        (FULL, 9, 1, "failed"),
        (LOST, 9, 4, "failed"),
    ],
)
def test_locks_and_rebuilt_tables_are_tried_once_more_and_other_faults_of_the_database_never(
    error: CloudbackupError, failures_first: int, tries: int, status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []

    def save(*_: object) -> Outcome:
        tried.append(1)
        if len(tried) <= failures_first:
            raise error
        return Outcome("shop", "mariadb", "ok", datetime.now(UTC), 0)

    monkeypatch.setattr(sources_save, "save", save)
    monkeypatch.setattr(app_backup, "last_size", lambda *_: None)
    monkeypatch.setattr(app_backup, "known_listing", lambda *_: None)
    monkeypatch.setattr(clocks, "compared", lambda *_, **__: ())
    monkeypatch.setattr(app_backup, "confirmed", lambda _session, _app, outcomes: outcomes)
    monkeypatch.setattr(app_backup, "recorded", lambda _session, _app, outcomes: outcomes)
    session = SimpleNamespace(pauses=lambda: [0.0, 0.0, 0.0], cancelled=Event(), host=lambda _: None)
    view = SimpleNamespace(step=lambda *_: None, done=lambda *_: None)
    app = SimpleNamespace(name="shop", before=(), after=())
    backup = AppBackup(cast("Any", session), cast("Any", app), ["mariadb"], cast("Any", view))
    assert [outcome.status for outcome in backup.save()] == [status]
    assert len(tried) == tries


@pytest.mark.parametrize(("error", "waits"), [(LOST, [1, 2, 4]), (LOCKED, [1]), (FULL, [])])
def test_pauses_grow_and_end(error: CloudbackupError, waits: list[float]) -> None:
    defaults = SimpleNamespace(retries=3, retry_wait=timedelta(seconds=1))
    session = Session(cast("Any", SimpleNamespace(defaults=defaults)))
    waited: list[float] = []
    session.cancelled = cast("Any", SimpleNamespace(wait=waited.append))
    told: list[float] = []

    def act() -> None:
        raise error

    with pytest.raises(type(error)):
        session.patiently(act, lambda _, wait: told.append(wait))
    assert waited == told == waits

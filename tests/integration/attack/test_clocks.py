"""A laptop with a wrong clock: what it writes is refused, and what one wrote long ago blinds nobody."""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

import tasks.fleet.backup as fleet_backup
import tasks.fleet.check as fleet_check
import tasks.fleet.prune as fleet_prune
from tasks.borg.client.compact import compact
from tasks.borg.client.delete import delete
from tasks.borg.guard import look
from tasks.borg.removal import vouched
from tasks.records.record import Record
from tasks.remote import host
from tasks.run import clocks
from tasks.storage import base
from tests.integration.attack.support import QUICK, Scene
from tests.integration.fleet.support import Operator


def records(scene: Scene) -> list[str]:
    return sorted(path.name for path in (scene.lab.box.home() / "cloudbackup/records/shop").iterdir())


@pytest.fixture
def shifted(monkeypatch: pytest.MonkeyPatch) -> Callable[[timedelta], None]:
    """Return what sets this machine's clock, as far as it is held against others, so far ahead."""

    def shift(ahead: timedelta) -> None:
        clock = SimpleNamespace(time=lambda: time.time() + ahead.total_seconds())
        for module in (base, host):
            monkeypatch.setattr(module, "time", clock)

    return shift


@pytest.mark.parametrize("words", [("backup",), ("check",), ("prune", "--yes"), ("borg.compact", "--yes"), ("verify",)])
def test_nothing_is_written_by_a_machine_a_year_ahead(
    scene: Scene, words: tuple[str, ...], shifted: Callable[[timedelta], None]
) -> None:
    before = records(scene), scene.listed()
    shifted(timedelta(days=365))
    done = Operator(scene.lab.inventory).inv(*words)
    assert done.returncode == 5, done.stdout + done.stderr
    assert "365 days ahead of that of the storage box" in done.stdout + done.stderr
    assert (records(scene), scene.listed()) == before


@pytest.mark.parametrize(("minutes", "said"), [(4, "4 minutes ahead of"), (-5, "minutes behind")])
def test_some_minutes_are_said_and_saved(
    scene: Scene, shifted: Callable[[timedelta], None], minutes: int, said: str
) -> None:
    shifted(timedelta(minutes=minutes, seconds=20 if minutes > 0 else 0))
    done = Operator(scene.lab.inventory).inv("backup")
    assert done.returncode == 3, done.stdout + done.stderr
    assert said in done.stdout
    assert len(scene.listed()) == 4


def test_the_operator_may_say_that_this_machine_is_right(
    scene: Scene, shifted: Callable[[timedelta], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    shifted(-timedelta(hours=15))
    monkeypatch.setenv(clocks.VARIABLE, clocks.OWN)
    done = Operator(scene.lab.inventory).inv("backup")
    assert (done.returncode, len(scene.listed())) == (3, 4), done.stdout + done.stderr


@pytest.mark.parametrize("ahead", [timedelta(minutes=20), timedelta(days=3), timedelta(days=365)])
def test_a_milestone_of_the_future_blinds_nobody(scene: Scene, ahead: timedelta) -> None:
    """As an earlier version's `check` wrote it on a laptop whose clock was ahead."""
    found = look(scene.session, scene.opened.app, scene.opened.repository, QUICK)
    future = Record(
        "shop", "check", datetime.now(UTC) + ahead, "ok", transaction=scene.transaction, details=vouched(found)
    )
    scene.session.storage_of(scene.opened.app).write_record(scene.opened.app, future)
    folder = str(scene.lab.inventory)
    Path(scene.new).write_bytes(b"another")
    assert fleet_backup.run(folder, fleet_backup.Options()) == 0
    (later,) = set(scene.listed()) - set(scene.before)
    row = scene.row()
    assert (row.status, row.error) == ("ok", None)
    assert fleet_prune.run(folder, fleet_prune.Options(), lambda _: True) == 0
    assert later in scene.listed()
    delete(scene.host, [later], QUICK)  # a thief, whom the guard must see
    compact(scene.host, QUICK)
    row = scene.row()
    assert (row.status, f"{later} was recorded, and is not in the repository" in (row.error or "")) == ("failed", True)
    assert fleet_prune.run(folder, fleet_prune.Options(), lambda _: True) == 5
    assert fleet_check.run(folder, fleet_check.Options()) == 4


@pytest.mark.parametrize(
    "zone", ["Asia/Kathmandu", "UTC-5"]
)  # the second one names itself UTC, and is five hours ahead
def test_a_machine_in_another_zone_writes_the_same_times(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, zone: str
) -> None:
    monkeypatch.setenv("TZ", zone)
    run = Operator(scene.lab.inventory).start("backup")
    said = run.communicate(timeout=200)[0]
    assert run.returncode == 0, said
    newest = max((scene.lab.box.home() / "cloudbackup/records/shop").glob("*-backup-*"))
    written = datetime.fromisoformat(json.loads(newest.read_text())["time"])
    assert abs(datetime.now(UTC) - written) < timedelta(minutes=5)
    assert scene.row().error is None

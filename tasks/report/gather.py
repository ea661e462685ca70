"""What storages and repositories say, gathered for the report. Nothing here raises for what could not be learnt."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial

from tasks.borg.doubts import doubts
from tasks.borg.key_export import escrow_path
from tasks.errors import CloudbackupError, InterruptedRunError
from tasks.inventory.inventory import Inventory
from tasks.inventory.models import App
from tasks.report import looking
from tasks.report.cache import Cache
from tasks.report.judge import Evidence, judge, sound
from tasks.report.keys import told
from tasks.report.looking import Found
from tasks.report.rows import Report, StorageRow, expected
from tasks.storage.ledger import ledger
from tasks.storage.loop import spread
from tasks.storage.records import NEWEST, Records
from tasks.storage.session import Session

LOOKS = 16  # storages, and hosts that have a directory for one, looked at together


def gather(session: Session, apps: Sequence[App], *, fresh: bool = False, newest: int = NEWEST) -> Report:
    """Return the report on `apps` and the storages that hold them.

    `fresh` believes nothing that was kept of an earlier one; `newest` records of each kind are read. Raises
    InterruptedRunError alone.
    """
    cache = Cache(session.inventory, fresh=fresh)
    names = sorted({app.storage for app in apps})
    jobs: list[Callable[[], list[Found] | StorageRow]] = [
        *(partial(looking.look, session, group, cache, newest) for group in looking.groups(session, apps)),
        *(partial(_space, session, name, apps) for name in names),
    ]
    done = spread(session, jobs, LOOKS, lambda job: job())
    found = looking.complete(session, [each for each in done if isinstance(each, list)], cache)
    now = datetime.now(UTC)
    evidence = [_evidence(found[looking.key(app)]) for app in apps]
    judged = (judge(source, each, now) for app, each in zip(apps, evidence, strict=True) for source in expected(app))
    escrowed = _escrowed(session.inventory, apps)
    return Report(
        now,
        tuple(told(judged, escrowed, session.inventory.escrow)),
        tuple(each for each in done if isinstance(each, StorageRow)),
        wanted=tuple(source for app in apps for source in expected(app)),
        records=tuple(record for each in evidence for record in sound(each.records)),
        escrowed=escrowed,
    )


def _escrowed(inventory: Inventory, apps: Sequence[App]) -> dict[str, bool]:
    """Return which apps' keys lie in the escrow folder; of none where this machine has no such folder."""
    if not inventory.escrow.is_dir():
        return {}
    found: dict[str, bool] = {}
    for app in apps:
        there = escrow_path(inventory.escrow, app.storage, app.name).is_file()
        found[app.name] = there and found.get(app.name, True)
    return found


def _evidence(one: Found) -> Evidence:
    listed = one.listing.archives if one.listing else None
    records = one.seen.records if one.seen else one.error
    if records is None or isinstance(records, CloudbackupError):
        return Evidence(listed, None, one.listing_error, records.what if records else None)
    told = Records.parse(records)
    wrong = doubts(listed, one.state, ledger(told), datetime.now(UTC)) if told.all else []
    return Evidence(listed, told, one.listing_error, doubts=wrong)


def _space(session: Session, name: str, apps: Sequence[App]) -> StorageRow:
    kind = session.inventory.storages[name].kind
    try:
        storage = session.storage(name)
        usage, remark = storage.usage(tuple(app for app in apps if app.storage == name)), storage.remark()
    except InterruptedRunError:
        raise
    except CloudbackupError as error:
        return StorageRow(name, kind, error=error.what)
    return StorageRow(name, kind, usage.used, usage.size, remark)

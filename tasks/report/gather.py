"""Gathers what storages and repositories say for the report.

What cannot be read becomes part of the report; nothing here raises an error for it.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from tasks.borg import catalog, encryption, escrow
from tasks.borg.anomalies import doubts, strangers
from tasks.borg.catalog import Found
from tasks.borg.catalog_cache import Cache
from tasks.borg.others import others
from tasks.crash import foreseen
from tasks.errors import CloudbackupError
from tasks.inventory.models import App
from tasks.records.growth import daily_growth
from tasks.records.ledger import ledger
from tasks.records.record import NEWEST, Record, Records, daily_names
from tasks.report import escrow as report_escrow
from tasks.report.comments import with_comments
from tasks.report.holdings import holdings
from tasks.report.judge import Evidence, judge, sound
from tasks.report.others import with_others
from tasks.report.rows import Expected, Holdings, Report, Row, StorageRow, expected
from tasks.run.parallel import spread
from tasks.run.session import Session

LOOKS = 16  # storages, and hosts with a directory as storage, that are queried at a time


def gather(session: Session, apps: Sequence[App], *, fresh: bool = False, newest: int = NEWEST) -> Report:
    """Return the report on `apps` and the storages that hold them.

    `fresh` ignores the cache; `newest` records of each kind are read. Raises only InterruptedRunError.
    """
    cache = Cache(session.inventory, fresh=fresh)
    names = sorted({app.storage for app in apps})
    jobs: list[Callable[[], list[Found] | StorageRow]] = [
        *(partial(catalog.look, session, group, cache, newest) for group in catalog.groups(session, apps)),
        *(partial(_space, session, name, apps) for name in names),
    ]
    done = spread(session, jobs, LOOKS, lambda job: job())
    found = catalog.complete(session, [each for each in done if isinstance(each, list)], cache)
    now = datetime.now(UTC)
    evidence_of = {key: replace(_evidence(one), unreadable=one.unreadable) for key, one in found.items()}
    evidence_of = with_comments(session, {key: one.app for key, one in found.items()}, evidence_of, now)
    evidence = [evidence_of[catalog.key(app)] for app in apps]
    judged = [_judged(source, each, now) for app, each in zip(apps, evidence, strict=True) for source in expected(app)]
    judged = list(with_others(judged, {key: each.others for key, each in evidence_of.items()}))
    folder = session.inventory.escrow
    faults = {key: _key_fault(folder, one) for key, one in found.items()} if folder.is_dir() else None
    rows = tuple(report_escrow.with_faults(judged, faults or {}))
    storages = [each for each in done if isinstance(each, StorageRow)]
    return Report(
        now,
        rows,
        tuple(storages if faults is not None else report_escrow.without_folder(storages, rows, folder)),
        configured=tuple(source for app in apps for source in expected(app)),
        records={key: _past(one, evidence_of[key], newest) for key, one in found.items()},
        escrowed={key: fault is None for key, fault in (faults or {}).items()},
        growth=_growth(apps, evidence, now),
        holdings=partial(_holdings, {catalog.key(app): app for app in apps}, evidence_of, now),
    )


def _holdings(
    apps: Mapping[catalog.Key, App], evidence_of: Mapping[catalog.Key, Evidence], now: datetime, storage: str, name: str
) -> Holdings:
    """Return what a repository holds. An unforeseen fault leaves it out: the rows say more."""
    key = storage, name
    if key not in apps or key not in evidence_of:
        return Holdings()
    with suppress(CloudbackupError), foreseen(name):
        return holdings(expected(apps[key]), evidence_of[key], now)
    return Holdings()


def _judged(source: Expected, evidence: Evidence, now: datetime) -> Row:
    """Return a source's row. An unforeseen fault only affects that row, so that the others are still shown."""
    try:
        with foreseen(source.app):
            return judge(source, evidence, now)
    except CloudbackupError as error:
        what = error.what.removeprefix(f"{source.app}: ")
        return Row(source.app, source.host, source.storage, source.source, "unknown", error=f"{what}: {error.remedy}")


def _growth(apps: Sequence[App], evidence: Sequence[Evidence], now: datetime) -> dict[str, float]:
    """Return the growth by backups in bytes a day, by storage; each copy of an app has its own records."""
    found: dict[str, float] = {}
    for app, each in zip(apps, evidence, strict=True):
        with suppress(CloudbackupError), foreseen(app.name):
            growth = daily_growth(
                {(name, source) for name in app.names for source in app.sources}, sound(each.records), now
            )
            if growth is not None:
                found[app.storage] = found.get(app.storage, 0) + growth
    return found


def _past(one: Found, evidence: Evidence, newest: int) -> list[Record]:
    """Return a repository's records, oldest first; if more than NEWEST are requested, also those of each day's backups.

    Logs come every few minutes, too many records to read: for older ones their file names hold enough.
    """
    read = sound(evidence.records)
    if newest <= NEWEST or one.seen is None or isinstance(one.seen.records, CloudbackupError):
        return read
    unread = (name for name in daily_names(one.seen.names) if name not in one.seen.records)
    named = [record for name in unread if (record := Record.from_name(one.app.name, name))]
    return sorted([*read, *named], key=lambda record: record.time)


def _key_fault(folder: Path, one: Found) -> str | None:
    """Return what is wrong with the escrow copy of a repository's key, as far as the repository could be read."""
    repository_id = one.listing.repository_id if one.listing else None
    key = one.state.key_sha256 if one.state else None
    try:
        with foreseen(one.app.name):
            return escrow.fault(folder, one.app.storage, one.app.name, repository_id, key)
    except CloudbackupError as error:
        return error.what


def _evidence(one: Found) -> Evidence:
    listed = one.listing.archives if one.listing else () if one.absent else None
    records = one.seen.records if one.seen else one.error
    if records is None or isinstance(records, CloudbackupError):
        return Evidence(listed, None, one.listing_error, records.what if records else None)
    try:
        with foreseen(one.app.name):
            parsed = Records.parse(records)
            known = ledger(parsed)
            found = doubts(listed, one.state, known, datetime.now(UTC)) if parsed.all else []
            wrong = [each.among(one.app.sources) for each in found]
            bare = _unencrypted(one)
            new = {each.id for each in strangers(listed or (), known)} if parsed.all else set()
            rest = [each for each in others(one.app, listed or ()) if each.id not in new]
            return Evidence(
                listed, parsed, one.listing_error, doubts=wrong, begun=known.begun, unencrypted=bare, others=rest
            )
    except CloudbackupError as error:
        return Evidence(listed, None, one.listing_error, error.what)


def _unencrypted(one: Found) -> str:
    """Return the error for an unencrypted repository; empty if it is encrypted or unknown."""
    if one.listing is None or encryption.is_encrypted(one.listing.encryption):
        return ""
    what = encryption.fault(one.app.name, one.listing.encryption).removeprefix(f"{one.app.name}: ")
    return f"{what}: {encryption.remedy(one.app.name)}"


def _space(session: Session, name: str, apps: Sequence[App]) -> StorageRow:
    kind = session.inventory.storages[name].kind
    try:
        with foreseen(f"storage {name}"):
            storage = session.storage(name)
            usage, remark = storage.usage(tuple(app for app in apps if app.storage == name)), storage.remark()
    except CloudbackupError as error:
        return StorageRow(name, kind, error=error.what)
    return StorageRow(name, kind, usage.used, usage.size, remark)

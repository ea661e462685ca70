"""Archives and records of many apps, asking storages only for what has changed.

First, one survey of all repositories of a storage (tasks/storage/survey.py); then borg lists only those that have
changed since their last listing.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from itertools import groupby

from tasks.borg.anomalies import Doubt, doubts
from tasks.borg.catalog_cache import NOTHING, Cache, Kept
from tasks.borg.client.list import Listing, archives
from tasks.borg.client.runner import BorgError, How
from tasks.borg.guard import passing
from tasks.crash import UnforeseenError, foreseen
from tasks.errors import AppError, CloudbackupError
from tasks.inventory.models import App
from tasks.records.ledger import history, ledger
from tasks.records.record import HISTORY, NEWEST, Records, newest_names
from tasks.remote.running import HostError
from tasks.run.parallel import over_apps
from tasks.run.session import Session
from tasks.storage.base import Storage
from tasks.storage.repository import Side
from tasks.storage.state import State
from tasks.storage.survey import Choose, Mark, Seen

PARALLEL = 8  # repositories listed at a time
# A running backup holds the lock all the time: wait for a short one, and report a long one.
PATIENCE = How(lock_wait=10, timeout=120)
# Borg's msgid. Where the storage's own folder is not there either, as on an unmounted disk, it is another.
NO_REPOSITORY = "Repository.DoesNotExist"

Key = tuple[str, str]  # storage and app


@dataclass(frozen=True)
class Found:
    """What is known of one app so far. `error` is why its storage could not be surveyed.

    `unreadable`: the storage answered, and its repository cannot be read. `absent`: it answered, and there is none.
    """

    app: App
    address: str = ""
    kept: Kept = NOTHING
    seen: Seen | None = None
    error: CloudbackupError | None = None
    listing: Listing | None = None
    state: State | None = None
    listing_error: str | None = None
    unreadable: bool = False
    absent: bool = False

    @property
    def key(self) -> Key:
        """Identifies the app's repository."""
        return key(self.app)

    @property
    def mark(self) -> Mark | None:
        """The repository's mark at the time of the survey."""
        return self.seen.mark if self.seen else None


def key(app: App) -> Key:
    """Return the key that identifies an app's repository."""
    return app.storage, app.name


def groups(session: Session, apps: Sequence[App]) -> list[list[App]]:
    """Return the apps in groups that one survey can cover."""

    def place(app: App) -> tuple[str, str]:
        try:
            return app.storage, session.storage_of(app).neighbourhood(app)
        except CloudbackupError:  # the survey reports it for each app
            return app.storage, ""

    return [list(group) for _, group in groupby(sorted(apps, key=place), place)]


def _address(storage: Storage, app: App) -> str:
    """Return what a cached listing depends on: where the repository is, and where its passphrase comes from."""
    return f"{storage.url(app)} {app.passphrase.model_dump_json(exclude_none=True, warnings=False)}"


def look(session: Session, group: Sequence[App], cache: Cache, newest: int) -> list[Found]:
    """Survey a group of apps, and return the result with the cached listings that are still valid.

    `newest` records of each kind are read, and older ones added if they are cached. Raises InterruptedRunError.
    """
    try:
        with foreseen():
            storage = session.storage_of(group[0])
            found = [Found(app, _address(storage, app)) for app in group]
            found = [replace(one, kept=cache.load(storage.name, one.app.name, one.address)) for one in found]
            known = {one.app.name: one.kept.records for one in found}
            seen = storage.survey(group, known, _choice(known.values(), newest))
            return [_with(one, each) for one, each in zip(found, seen, strict=True)]
    except CloudbackupError as error:
        if isinstance(error, UnforeseenError) and len(group) > 1:  # perhaps of one app: it must not hide the others
            return [one for app in group for one in look(session, [app], cache, newest)]
        return [Found(app, error=error) for app in group]


def _with(one: Found, seen: Seen) -> Found:
    """Combine a survey with the cache, as far as nothing has changed."""
    if not one.kept.holds(seen.mark):
        return replace(one, seen=seen)
    return replace(one, seen=seen, listing=one.kept.listing, state=one.kept.state)


def _choice(known: Iterable[Mapping[str, bytes]], newest: int) -> Choose:
    held = {name for records in known for name in records}

    def choose(names: list[str]) -> list[str]:
        recent = set(newest_names(names, newest))
        shown = {name for name in newest_names(names, HISTORY) if name in recent or name in held}
        return sorted(shown | set(history(names)))

    return choose


def complete(session: Session, looks: Sequence[Sequence[Found]], cache: Cache) -> dict[Key, Found]:
    """Return everything found, with the missing listings, and cache what is new.

    If a storage did not answer at all, one app is probed on behalf of the rest, so that they do not all wait for the
    same timeout. Raises InterruptedRunError.
    """
    found = {one.key: one for group in looks for one in group}
    witness_of = {
        one.key: group[0].key for group in looks for one in group[1:] if isinstance(group[0].error, HostError)
    }
    found |= _listed(session, [one for one in found.values() if one.listing is None and one.key not in witness_of])
    rest = [found[each] for each in witness_of]
    lost = [one for one in rest if found[witness_of[one.key]].listing is None]
    found |= _listed(session, [one for one in rest if one not in lost])
    found |= {one.key: replace(one, listing_error=found[witness_of[one.key]].listing_error) for one in lost}
    _keep(session, list(found.values()), cache)
    return found


def _listed(session: Session, found: Sequence[Found]) -> dict[Key, Found]:
    by_key = {one.key: one for one in found}
    listed = over_apps(
        session,
        [one.app for one in found],
        PARALLEL,
        lambda app: _list(session, by_key[key(app)]),
        lambda app, error: replace(by_key[key(app)], listing_error=error.what.removeprefix(f"{app.name}: ")),
    )
    return {one.key: one for one in listed}


def _list(session: Session, one: Found) -> Found:
    one = replace(one, state=_state(session, one.app))
    try:
        repository = session.repository(one.app, Side.OPERATOR)
        # If the storage was surveyed just now, a refused connection is one too many, such as beside a running backup.
        patient = one.seen is not None and repository.host is session.operator
        listed = partial(archives, repository, how=PATIENCE)
        return replace(one, listing=session.patiently(listed) if patient else listed())
    except CloudbackupError as error:
        what = error.what.removeprefix(f"{one.app.name}: ")
        absent = one.seen is not None and isinstance(error, BorgError) and error.msgid == NO_REPOSITORY
        return replace(one, listing_error=what, unreadable=not passing(error), absent=absent)


def _state(session: Session, app: App) -> State | None:
    """Return a repository's state; None if it cannot be read, so that nothing is said about it."""
    try:
        with foreseen(app.name):
            return session.storage_of(app).state(app)
    except CloudbackupError:
        return None


def _keep(session: Session, found: Sequence[Found], cache: Cache) -> None:
    """Cache what is new. A new listing only belongs to a mark that is unchanged after listing."""
    new = [one for one in found if one.mark and one.listing and one.listing is not one.kept.listing]
    after = _marks(session, [one.app for one in new])
    for one in found:
        if one.seen is None:
            continue
        records = one.kept.records if isinstance(one.seen.records, AppError) else one.seen.records
        holds = one.listing and (one not in new or after.get(one.key) == one.mark)
        kept = Kept(one.mark, one.listing, one.state, records) if holds else Kept(records=records)
        if kept != one.kept:
            cache.store(one.app.storage, one.app.name, one.address, kept)


def _marks(session: Session, apps: Sequence[App]) -> Mapping[Key, Mark | None]:
    marks: dict[Key, Mark | None] = {}
    for group in groups(session, apps):
        try:
            with foreseen():
                read = session.storage_of(group[0]).marks(group)
        except CloudbackupError:
            continue
        marks |= zip(map(key, group), read, strict=True)
    return marks


@dataclass(frozen=True)
class Anew:
    """A fresh view of one repository; `doubts` are its anomalies, empty also if they could not be determined.

    `records` are the known ones; None if they could not be read.
    """

    listing: Listing
    state: State
    doubts: Sequence[Doubt] = ()
    records: Records = field(default_factory=Records)


def looked_anew(session: Session, app: App, how: How, made: Mapping[str, str]) -> Anew:
    """List one repository without the cache, and cache the result for the next report. Raises CloudbackupError.

    `made` maps ids of archives without a record yet to their names. If the repository changed meanwhile, there are no
    anomalies: another operator is working on it, and may write its records later.
    """
    storage = session.storage_of(app)
    before, early = _marked_state(storage, app)
    listing = archives(session.repository(app, Side.OPERATOR), how=how)
    state = early or storage.state(app)
    cache = Cache(session.inventory)
    kept = cache.load(storage.name, app.name, _address(storage, app))
    seen = _surveyed(session, app, kept.records)
    if before is None or seen is None or seen.mark != before:
        return Anew(listing, state, records=Records.parse(kept.records))
    found, records = _doubted(seen, listing, state, made), kept.records
    if found and (again := _surveyed(session, app, kept.records)):
        # An announcement may have been deleted between listing and reading, in favour of the archive's own record.
        seen, found = again, _doubted(again, listing, state, made)
    if not isinstance(seen.records, AppError):
        records = seen.records
    fresh = replace(kept, mark=before, listing=listing, state=state, records=records)
    cache.store(storage.name, app.name, _address(storage, app), fresh)
    return Anew(listing, state, found, Records.parse(records))


def _marked_state(storage: Storage, app: App) -> tuple[Mark | None, State | None]:
    """Return a repository's mark and state; nothing if they cannot be read, since borg tells better what is wrong."""
    try:
        return storage.marked_state(app)
    except CloudbackupError:
        return None, None


def _surveyed(session: Session, app: App, known: Mapping[str, bytes]) -> Seen | None:
    """Return the survey of one app; None if its storage cannot be surveyed."""
    try:
        return session.storage_of(app).survey((app,), {app.name: known}, _choice([known], NEWEST))[0]
    except CloudbackupError:
        return None


def _doubted(seen: Seen, listing: Listing, state: State, made: Mapping[str, str]) -> list[Doubt]:
    if isinstance(seen.records, AppError):
        return []
    told = Records.parse(seen.records)
    known = ledger(told)
    known = replace(known, made={**known.made, **made})
    return doubts(listing.archives, state, known, datetime.now(UTC)) if told.all else []


def known_records(session: Session, app: App) -> Records:
    """Return the records cached by a report or backup on this machine, without asking for newer ones."""
    storage = session.storage_of(app)
    return Records.parse(Cache(session.inventory).load(storage.name, app.name, _address(storage, app)).records)


def known_listing(session: Session, app: App) -> Listing | None:
    """Return the listing last cached by a report or backup on this machine; None if there is none."""
    storage = session.storage_of(app)
    return Cache(session.inventory).load(storage.name, app.name, _address(storage, app)).listing


def last_size(session: Session, app: App, source: str) -> int | None:
    """Return the size in bytes of a source's last backup in the cache; None if there is none."""
    saved = (record for record in reversed(known_records(session, app).all) if record.source == source)
    return next((record.size for record in saved if record.action == "backup" and record.size), None)

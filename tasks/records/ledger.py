"""The state of a repository according to all of an app's records: which archives should exist, and its counters.

Before freeing anything, an operation writes a record of the action `intent` with `removing_ids`. It covers the time
until the action's own record exists, and the case that it never does.

Before making an archive, an operation writes a record of the action `begun` with the archive's name, which is deleted
once the archive has its own record (tasks/borg/create.py explains why that is safe).

A milestone (tasks/records/chronology.py) is a record that makes older ones unnecessary. Everything else is a set of
ids, which are never reused, so the order in which several operators write their records hardly matters. Being listed
in a record does not make an archive known: otherwise the next backup would legitimise a forged one.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any

from tasks.records.chronology import AHEAD, LONGEST, ended, in_order, known_ids, start, texts
from tasks.records.record import Record, Records, kind, newest_names
from tasks.records.verdict import ACCEPT, DRILLS, SAVING, not_good, settles
from tasks.remote.files import UNFINISHED

KNOWN = "known"  # in a milestone's file name, instead of a source
INTENT = "intent"
BEGUN = "begun"
ANNOUNCED = (INTENT, BEGUN)  # written in advance; the result has a record of its own
FREEING = ("prune", "compact")
REMOVING = ("prune", "delete", "compact")
CHANGED_KEY = "change-passphrase"  # the action that changes the key; it affects no archive
# Actions whose newest records count at any age: an archive's condition, what can be undone, what no longer can.
OF_ANY_AGE = ("check", "verify", ACCEPT, "rollback", "prune", "compact", CHANGED_KEY, INTENT)
NEWEST = 5  # records of each of these kinds; and of milestones, to check whether the newest one's clock was wrong
NOT_GOOD, FAILED_DRILL, ENDS, TOKEN = "not_good_ids", "failed_drill_ids", "ends", "token"  # in details
OURS = "ours_ids"  # in the details of a rollback that is no milestone: the archives that are ours
ADOPTED = "adopted_ids"  # in a milestone's: archives of other names that were there when it was taken into use
NAMES, STARTS = "names", "starts"  # in a milestone's: of each of its archives in turn, the start in seconds since 1970
SERIES, WITHDRAWN = "series", "series_withdrawn"  # in an acceptance's: another tool's names, as patterns with wildcards
UNFINISHED_YET = "unfinished"  # in a milestone's details: the announcements that had not ended
LATEST = 1 << 40  # seconds since 1970; a time of a record is before
_FORMAT = "%Y-%m-%dT%H-%M-%S"
_TIME = 19  # length of the time at the start of a file name


@dataclass(frozen=True)
class Ledger:
    """What an app's records say about its repository.

    `made` are the archives that are ours according to the records, names by id (empty if unknown). `expected` are the
    ids that must exist: made or seen, and not removed by us. `config_sha256` is the expected checksum of the
    repository's `config`, None if no record has one; `counts` are the numbers of live objects after some transactions,
    which must still be live; `proven` are the archives that passed a drill and were not found bad since; `removed` are
    those that we removed; `ignored` are the names of broken records that a person declared irrelevant; `begun` are the
    names of archives that were announced and have no record by id. `not_good` are incomplete or suspect, `failed_drill`
    those whose newest drill failed; neither includes archives that a person accepted, which are in `accepted`.
    `unfinished` are the announcements that no record has ended. `ours` are `made` and, in the same form, those that we
    removed. `adopted` are the archives of other names that were there at first, and were not removed by us; `series`
    are the patterns of names of which another tool may go on making archives: neither known nor an anomaly.
    `former_counts` are the `counts` of the moment when a rollback was announced, by the folder of what it set aside:
    they hold again once that is undone. `names` and `starts` (seconds since 1970) are what the repository's manifest
    must say of archives, by id, as far as records tell: whoever has a host's key can write other ones there.
    """

    made: Mapping[str, str] = field(default_factory=dict)
    expected: frozenset[str] = frozenset()
    config_sha256: str | None = None
    counts: Mapping[int, int] = field(default_factory=dict)
    former_counts: Mapping[str, Mapping[int, int]] = field(default_factory=dict)
    proven: frozenset[str] = frozenset()
    removed: frozenset[str] = frozenset()
    ignored: frozenset[str] = frozenset()
    begun: frozenset[str] = frozenset()
    not_good: frozenset[str] = frozenset()
    failed_drill: frozenset[str] = frozenset()
    accepted: frozenset[str] = frozenset()
    unfinished: tuple[Record, ...] = ()
    ours: Mapping[str, str] = field(default_factory=dict)
    adopted: frozenset[str] = frozenset()
    series: tuple[str, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    starts: Mapping[str, float] = field(default_factory=dict)

    def in_series(self, name: str) -> bool:
        """Return whether a person accepted that another tool makes archives of this name."""
        return any(fnmatchcase(name, pattern) for pattern in self.series)


def ledger(records: Records, now: datetime | None = None, since: datetime | None = None) -> Ledger:
    """Return the state at `now` (default: the current time) according to an app's records.

    Used are those since `LONGEST` before the newest milestone, or from `since` on; drills and acceptances at any age.
    """
    whole = in_order(records, now or datetime.now(UTC))
    since = since or start(whole)
    every = [each.record for each in whole if since is None or each.time >= since]
    counted = [
        each for each in whole if since is None or each.time >= since or each.record.action in ("verify", ACCEPT)
    ]
    lasting = [each.record for each in counted]
    accepted = {record.archive_id for record in lasting if _accepts(record) and record.archive_id}
    made = {record.archive_id: "" for record in every if _accepts(record) and record.archive_id}
    for record in every:
        made |= dict.fromkeys(known_ids(record) or texts(record.details.get(OURS)), "")
        if record.action in SAVING and record.outcome != "failed" and record.archive_id:
            made[record.archive_id] = record.archive or ""
    begun = {record.archive for record in every if record.action == BEGUN and record.archive}
    names = {record.archive_id: record.archive for record in every if record.archive_id and record.archive}
    made = {each: name or names.get(each, "") for each, name in made.items()}
    seen = {each for record in every for each in record.archive_ids or ()}
    gone = _removed(every)
    unfinished = _unfinished([*_carried(every), *every])
    leaving = {each for record in unfinished for each in texts(record.details.get("removing_ids"))}
    failed = _failed_drills([each.record for each in sorted(counted, key=lambda each: each.sure)])
    carried = {each for record in every for each in texts(record.details.get(NOT_GOOD))}
    carried -= {record.archive_id for record in every if record.action in SAVING and record.outcome != "failed"}
    counts, former = _counts(every)
    listed, starts = _listed(every)
    return Ledger(
        made={each: name for each, name in made.items() if each not in gone},
        expected=frozenset((seen | set(made)) - gone - leaving),
        config_sha256=_config(every),
        counts=counts,
        former_counts={aside: each.live for aside, each in former.items()},
        proven=frozenset(_proven(lasting)) - failed,
        removed=frozenset(gone),
        ignored=frozenset(name for record in every for name in texts(record.details.get("ignored_records"))),
        begun=frozenset(begun - set(made.values())),
        not_good=frozenset(carried - accepted) | not_good(Records(tuple(lasting))),
        failed_drill=failed,
        accepted=frozenset(accepted),
        unfinished=unfinished,
        ours=made,
        adopted=frozenset(each for record in every for each in texts(record.details.get(ADOPTED))) - gone,
        series=_series(lasting),
        names=listed,
        starts=starts,
    )


def history(names: Iterable[str], now: datetime | None = None, since: datetime | None = None) -> list[str]:
    """Return the file names of the records that `ledger` needs, sorted.

    These are the records since the newest milestone without a future time, or since `since` if that is earlier; and, of
    any age, those that describe an archive's condition.
    """
    every = sorted(name for name in names if name.endswith(".json"))
    latest = f"{(now or datetime.now(UTC)) + AHEAD:{_FORMAT}}"
    milestones = [name for name in every if kind(name).endswith(f"-{KNOWN}") and name[:_TIME] <= latest]
    begin = before(milestones[-1]) if milestones else ""
    begin = min(begin, f"{since:{_FORMAT}}") if since else begin
    lasting = [name for name in every if kind(name).split("-")[0] in OF_ANY_AGE]
    accepts = [name for name in lasting if kind(name).split("-")[0] == ACCEPT]
    kept = {*milestones[-NEWEST:], *newest_names(lasting, NEWEST), *accepts}
    return [name for name in every if name >= begin or name in kept]


def needed(names: Iterable[str]) -> list[str]:
    """Return the file names of the newest records of each kind and of all that `ledger` needs, sorted."""
    every = list(names)
    return sorted({*newest_names(every), *history(every)})


def forgotten(names: Iterable[str], milestone: str) -> list[str]:
    """Return the names that are not needed after a milestone of this name: old `begun` records, unfinished files."""
    old = (name for name in names if name < before(milestone))
    return [name for name in old if kind(name).split("-")[0] == BEGUN or name.endswith(UNFINISHED)]


def before(name: str) -> str:
    """Return the lower bound of the names of records that began `LONGEST` before the record of this name."""
    try:
        return f"{datetime.strptime(name[:_TIME], _FORMAT).replace(tzinfo=UTC) - LONGEST:{_FORMAT}}"
    except (ValueError, OverflowError):
        return ""


def _removed(records: Iterable[Record]) -> set[str]:
    """Return the ids that we removed and that no rollback has brought back."""
    removed: set[str] = set()
    for record in records:
        if record.action == "rollback" and record.outcome != "failed":
            removed -= {*(known_ids(record) or ()), *(record.archive_ids or ())}
        removed |= set(texts(record.details.get("removed_ids")))
    return removed


def _listed(records: Iterable[Record]) -> tuple[dict[str, str], dict[str, float]]:
    """Return names and starts of archives: the newest of what their backups and the milestones tell."""
    names: dict[str, str] = {}
    starts: dict[str, float] = {}
    for record in records:
        ids, named, begun = known_ids(record) or (), texts(record.details.get(NAMES)), record.details.get(STARTS)
        if len(named) == len(ids):
            names |= zip(ids, named, strict=True)
        if isinstance(begun, list | tuple) and len(begun) == len(ids):
            starts |= {each: at for each, at in zip(ids, begun, strict=True) if _is_time(at)}
        if record.action in SAVING and record.outcome != "failed" and record.archive_id and record.archive:
            names[record.archive_id] = record.archive
    return names, starts


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and 0 <= value < LATEST


def _series(records: Iterable[Record]) -> tuple[str, ...]:
    """Return the accepted series that were not withdrawn."""
    found: dict[str, None] = {}
    for record in filter(_accepts, records):
        found |= dict.fromkeys(texts(record.details.get(SERIES)))
        for pattern in texts(record.details.get(WITHDRAWN)):
            found.pop(pattern, None)
    return tuple(found)


def _accepts(record: Record) -> bool:
    return record.action == ACCEPT and record.outcome == "ok"


def _failed_drills(records: Sequence[Record]) -> frozenset[str]:
    """Return the archives whose newest drill failed, and that no person accepted in spite of it.

    Drills of the future come first: nobody knows when they were, so one that succeeded hides none that failed.
    """
    acceptances = [record for record in records if _accepts(record)]
    failed: dict[str, bool] = {}  # by id: whether the drill's own record is there, and not a milestone's word alone
    for record in records:
        failed |= {each: failed.get(each, False) for each in texts(record.details.get(FAILED_DRILL))}
        archive = record.archive_id
        if archive is None:
            continue
        if record.action == "verify":
            failed.pop(archive, None)
            if record.outcome == "failed" and not any(settles(each, record) for each in acceptances):
                failed[archive] = True
        elif _accepts(record) and record.details.get(DRILLS) != [] and not failed.get(archive, True):
            del failed[archive]
    return frozenset(failed)


def _unfinished(records: list[Record]) -> tuple[Record, ...]:
    """Return the announcements that no record has ended.

    A record ends the announcements that it names; freeing space or a rollback ends all removals announced before it.
    Records of earlier versions name none: there, a record of the same action ends them. A record's time is its start,
    so announcements are compared with its end.
    """
    named = _ended_tokens(records)
    return tuple(
        each
        for each in records
        if each.action == INTENT
        and each.details.get(TOKEN) not in named
        and not any(_ends(record, each) for record in records if ended(record) >= each.time)
    )


def carrying(unfinished: Iterable[Record]) -> list[dict[str, Any]]:
    """Return the unfinished announcements for a milestone's details; else they would go with older records."""
    return [json.loads(record.to_json()) for record in unfinished if TOKEN in record.details]


def _carried(records: Iterable[Record]) -> list[Record]:
    """Return the announcements that milestones carry over and that are not among the records themselves."""
    every = list(records)
    found = {each.details.get(TOKEN): each for each in every if each.action == INTENT}
    carried: dict[str, Record] = {}
    for values in (each for record in every for each in record.details.get(UNFINISHED_YET) or ()):
        try:
            record = Record.from_json(json.dumps(values))
        except ValueError:
            continue
        token = record.details.get(TOKEN)
        if record.action == INTENT and isinstance(token, str) and token not in found:
            carried[token] = record
    return list(carried.values())


def _ended_tokens(records: Iterable[Record]) -> set[str]:
    return {token for record in records for token in texts(record.details.get(ENDS))}


def _ends(record: Record, intent: Record) -> bool:
    of = intent.details.get("of")
    if TOKEN not in intent.details:
        return record.action == of
    freed = record.action in FREEING and bool(record.details.get("space"))
    undone = record.action == "rollback" and record.outcome != "failed"
    return of in REMOVING and (freed or undone)


def _config(records: list[Record]) -> str | None:
    """Return the newest checksum confirmed by a milestone or by our own key change, else the oldest one seen."""
    dated = [record for record in records if record.config_sha256]
    vouched = [record for record in dated if known_ids(record) is not None or _changed_key(record)]
    return (vouched[-1] if vouched else dated[0]).config_sha256 if dated else None


def _changed_key(record: Record) -> bool:
    return record.action == CHANGED_KEY and record.outcome == "ok"


@dataclass(frozen=True)
class _Counts:
    """Live objects by transaction, and the first transaction that records may count."""

    live: dict[int, int] = field(default_factory=dict)
    begin: int = -1


def _counts(records: list[Record]) -> tuple[dict[int, int], dict[str, _Counts]]:
    """Return live object counts by transaction, from all records since our own newest one that freed space.

    A rollback keeps the counts up to the transaction it returned to: objects overwritten before that still are. Its
    undoing returns to those of the moment when it was announced, which are also returned, by what it set aside.
    Announced actions that have ended count by their own record, whose time is its start.
    """
    now, former, begun = _Counts(), dict[str, _Counts](), set[str]()  # `begun`: rollbacks that have not ended so far
    named = _ended_tokens(records)
    for record in records:
        if isinstance(aside := record.details.get("aside"), str):  # of a rollback's announcement and record: the first
            former.setdefault(aside, _set_aside(record, now, begun))
            (begun.discard if _recounts(record) else begun.add)(aside)
        if record.action == INTENT and record.details.get(TOKEN) in named:
            continue
        if _recounts(record):
            now = _recounted(record, now, former)
        if record.transaction is not None and record.objects is not None and record.transaction >= now.begin:
            now.live[record.transaction] = record.objects
    return now.live, former


def _set_aside(record: Record, now: _Counts, begun: Collection[str]) -> _Counts:
    """Return the counts of what a rollback sets aside.

    One that undoes another which has not ended sets aside what that would have left.
    """
    to = record.details.get("to")
    if record.details.get("undid") in begun and type(to) is int:
        return _up_to(now, to)
    return _Counts(dict(now.live), now.begin)


def _up_to(counts: _Counts, to: int) -> _Counts:
    return _Counts({number: count for number, count in counts.live.items() if number <= to}, min(counts.begin, to))


def _recounted(record: Record, now: _Counts, former: Mapping[str, _Counts]) -> _Counts:
    """Return the counts that remain valid before a record, and the first transaction that later records may count."""
    own = record.transaction or 0
    if record.action != "rollback":
        return _Counts({}, max(now.begin, own + (record.action == INTENT)))
    if (before := former.get(str(record.details.get("undid")))) is not None:
        return _Counts(dict(before.live), before.begin)
    to = record.details.get("to")
    if type(to) is not int:  # written by an earlier version
        return _Counts({}, own)
    return _up_to(now, to)


def _recounts(record: Record) -> bool:
    return record.details.get("recount") is True and record.transaction is not None


def _proven(records: Iterable[Record]) -> Iterable[str]:
    for record in records:
        if record.action == "verify" and record.outcome != "failed" and record.archive_id:
            yield record.archive_id
        yield from texts(record.details.get("proven_ids"))

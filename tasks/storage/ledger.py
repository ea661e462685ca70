"""What the records of an app, taken together, know of its repository: which archives should be there, and its state.

Whoever frees something says so beforehand, in a record of the action `intent` with `removing_ids`: for the time until
the action's own record is there, and for the case that it never comes.

Whoever makes an archive says so beforehand as well, in a record of the action `begun` with the archive's name, which is
taken back once the archive has its own record (tasks/borg/making.py tells why that is safe).

A milestone is a record after which nothing older need be read: it lists, in `known_ids`, every archive that should be
there, because whoever wrote it had compared the repository with all records, or because a person said so (`--force`).
Everything else is a set of ids, never used twice, so the order in which several operators write their records does not
matter. What a record merely saw does not become known by it: or the next backup would make a forged archive good.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from tasks.remote.files import UNFINISHED
from tasks.storage.records import Record, Records, kind, newest_names

MILESTONES = ("init", "prune", "compact", "delete", "check", "rollback", "change-passphrase")  # may be one
KNOWN = "known"  # stands in the file name of a milestone, in the place of a source
INTENT = "intent"
BEGUN = "begun"
ANNOUNCED = (INTENT, BEGUN)  # what is said beforehand; what came of it has a record of its own
SAVING = ("backup", "create")
LONGEST = timedelta(days=2)  # records carry the time of their beginning: who began so long before may end later
_FORMAT = "%Y-%m-%dT%H-%M-%S"
_TIME = 19  # length of a time so written


@dataclass(frozen=True)
class Ledger:
    """`made` are archives that our records say are ours, by id, with their names where known.

    `expected` are the ids that must be there: made or seen, and not removed by us. `config_sha256` is what the
    repository's `config` should be, None when no record tells; `counts` are the objects that lived after some
    transactions and must live still; `proven` are archives that a drill proved, `removed` those that
    we removed, `ignored` the names of broken records
    that a person said do not matter; `begun` are the names of archives that were begun and have no record by their id.
    """

    made: Mapping[str, str] = field(default_factory=dict)
    expected: frozenset[str] = frozenset()
    config_sha256: str | None = None
    counts: Mapping[int, int] = field(default_factory=dict)
    proven: frozenset[str] = frozenset()
    removed: frozenset[str] = frozenset()
    ignored: frozenset[str] = frozenset()
    begun: frozenset[str] = frozenset()


def ledger(records: Records) -> Ledger:
    """Return what an app's records know: those since the newest milestone, and those of `LONGEST` before it."""
    every = _since_milestone([record for record in records.all if _sound(record)])
    made: dict[str, str] = {}
    for record in every:
        made |= dict.fromkeys(known_ids(record) or (), "")
        if record.action in SAVING and record.outcome != "failed" and record.archive_id:
            made[record.archive_id] = record.archive or ""
    begun = {record.archive for record in every if record.action == BEGUN and record.archive}
    names = {record.archive_id: record.archive for record in every if record.archive_id and record.archive}
    seen = {each for record in every for each in record.archive_ids or ()}
    gone = _removed(every)
    leaving = {each for record in every for each in _texts(record.details.get("removing_ids"))}
    return Ledger(
        made={each: name or names.get(each, "") for each, name in made.items() if each not in gone},
        expected=frozenset((seen | set(made)) - gone - leaving),
        config_sha256=_config(every),
        counts=_counts(every),
        proven=frozenset(_proven(every)),
        removed=frozenset(gone),
        ignored=frozenset(name for record in every for name in _texts(record.details.get("ignored_records"))),
        begun=frozenset(begun - set(made.values())),
    )


def history(names: Iterable[str]) -> list[str]:
    """Return the file names of the records that `ledger` needs: those since the newest milestone's, sorted."""
    every = sorted(name for name in names if name.endswith(".json"))
    milestones = [name for name in every if kind(name).endswith(f"-{KNOWN}")]
    start = before(milestones[-1]) if milestones else ""
    return [name for name in every if name >= start]


def wanted(names: Iterable[str]) -> list[str]:
    """Return the file names of the newest records of each kind and of all that `ledger` needs, sorted."""
    every = list(names)
    return sorted({*newest_names(every), *history(every)})


def forgotten(names: Iterable[str], milestone: str) -> list[str]:
    """Return the names that nobody needs after a milestone of this name: old records `begun`, and unfinished files."""
    old = (name for name in names if name < before(milestone))
    return [name for name in old if kind(name).split("-")[0] == BEGUN or name.endswith(UNFINISHED)]


def before(name: str) -> str:
    """Return the beginning of the names of records that began `LONGEST` before the one of this name."""
    try:
        return f"{datetime.strptime(name[:_TIME], _FORMAT).replace(tzinfo=UTC) - LONGEST:{_FORMAT}}"
    except (ValueError, OverflowError):
        return ""


def is_milestone(record: Record) -> bool:
    """Tell whether nothing older than a record need be read; its file's name says so as well."""
    return known_ids(record) is not None


def known_ids(record: Record) -> tuple[str, ...] | None:
    """Return the archives that a milestone says should be there; None for any other record."""
    if record.action not in MILESTONES or "known_ids" not in record.details:
        return None
    return _texts(record.details["known_ids"])


def _since_milestone(records: list[Record]) -> list[Record]:
    milestones = [record.time for record in records if is_milestone(record)]
    proofs = [record for record in records if record.action == "verify"]  # of any age
    if not milestones:
        return records
    return [record for record in records if record.time >= milestones[-1] - LONGEST or record in proofs]


def _removed(records: Iterable[Record]) -> set[str]:
    """Return what we removed, and no rollback brought back since."""
    removed: set[str] = set()
    for record in records:
        if record.action == "rollback":
            removed -= set(known_ids(record) or ())
        removed |= set(_texts(record.details.get("removed_ids")))
    return removed


def _config(records: list[Record]) -> str | None:
    """Return the newest that a milestone vouches for, or else the oldest that was seen."""
    told = [record for record in records if record.config_sha256]
    vouched = [record for record in told if known_ids(record) is not None]
    return (vouched[-1] if vouched else told[0]).config_sha256 if told else None


def _counts(records: list[Record]) -> dict[int, int]:
    """Return transaction and living objects of all records since the newest that freed something by our own hand."""
    freed = [record for record in records if record.details.get("recount") is True and record.transaction is not None]
    rollbacks = [record.time for record in freed if record.action == "rollback"]
    freed = [record for record in freed if not rollbacks or record.time >= rollbacks[-1]]
    begin = max(((record.transaction or 0) + (record.action == INTENT) for record in freed), default=-1)
    since = freed[-1].time if freed else datetime.min.replace(tzinfo=UTC)
    return {
        record.transaction: record.objects
        for record in records
        if record.transaction is not None
        and record.objects is not None
        and record.transaction >= begin
        and (not freed or record.time >= since)
    }


def _proven(records: Iterable[Record]) -> Iterable[str]:
    for record in records:
        if record.action == "verify" and record.outcome != "failed" and record.archive_id:
            yield record.archive_id
        yield from _texts(record.details.get("proven_ids"))


def _texts(values: object) -> tuple[str, ...]:
    return tuple(each for each in values if isinstance(each, str)) if isinstance(values, list | tuple) else ()


def _sound(record: Record) -> bool:
    """Return whether a record's fields hold what they should: files in a storage may hold anything."""
    texts = (record.archive, record.archive_id, record.config_sha256)
    numbers = (record.transaction, record.objects)
    return (
        all(text is None or isinstance(text, str) for text in texts)
        and all(number is None or type(number) is int for number in numbers)
        and all(isinstance(each, str) for each in record.archive_ids or ())
        and isinstance(record.details, Mapping)
    )

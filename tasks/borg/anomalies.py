"""What looks wrong in a repository: its archives and state compared with the records.

Whatever a host's own key can do to a repository shows here: archives removed, renamed, replaced, added or redated; the
key replaced; single objects overwritten (tried, borg 1.2.4 and 1.4.5).
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from tasks.borg.announcement import ANNOUNCED
from tasks.borg.client import archive_name
from tasks.borg.client.list import Archive
from tasks.records.ledger import TOKEN, Ledger
from tasks.storage.state import State

# How far an app host's clock may be off before its archives look forged: an hour, as after a missed change to summer
# time, plus the time between the name being made and borg's own start.
CLOCKS_APART = timedelta(minutes=90)
SHOWN = 3  # names listed in one sentence
AT_WORK = timedelta(hours=1)  # for this long an unfinished removal may still be running


@dataclass(frozen=True)
class Doubt:
    """One anomaly. `sources` are the sources it concerns; none means the whole repository.

    `kind` is one of the kinds in `refusals.py`. `items` are the objects it names: a person who was shown a larger set
    has been shown this one.
    """

    text: str
    sources: frozenset[str] = frozenset()
    kind: str = ""
    items: frozenset[str] = frozenset()

    def about(self, source: str) -> bool:
        """Return whether it concerns a source."""
        return not self.sources or source in self.sources

    def among(self, sources: Collection[str]) -> "Doubt":
        """Return it for an app with these sources: what concerns none of them concerns the whole repository."""
        return self if self.sources <= frozenset(sources) else replace(self, sources=frozenset())

    def within(self, told: "Doubt") -> bool:
        """Return whether a person who was shown the other anomaly was thereby shown this one."""
        return self.kind == told.kind and (self.text == told.text or (bool(self.items) and self.items <= told.items))


def doubts(archives: Sequence[Archive] | None, state: State | None, known: Ledger, now: datetime) -> list[Doubt]:
    """Return the anomalies. `archives` and `state` are None if they could not be read; they are not judged then."""
    found = list(unfinished(known, now))
    if state is not None:
        found += [*_config(state, known), *_objects(state, known)]
    if archives is not None:
        dated = [archive for archive in archives if archive.id not in known.accepted]
        found += [*_gone(archives, known), *_unknown(archives, known), *_renamed(archives, known), *_dates(dated, now)]
    return found


def unrecorded(archives: Sequence[Archive], known: Ledger) -> list[Archive]:
    """Return the archives without a record: neither by id nor, if that is not known yet, by an announced name."""
    return [archive for archive in archives if archive.id not in known.made and archive.name not in known.begun]


def strangers(archives: Sequence[Archive], known: Ledger) -> list[Archive]:
    """Return the archives without a record whose name is in no series that a person accepted.

    A name of our own form is in none.
    """
    return [
        each for each in unrecorded(archives, known) if archive_name.parse(each.name) or not known.in_series(each.name)
    ]


def unfinished(known: Ledger, now: datetime) -> Iterable[Doubt]:
    """Yield changes that were announced and have not ended. A removal may be running: it shows only after an hour."""
    for record in known.unfinished:
        if TOKEN not in record.details:
            continue  # written by an earlier version, which named no end
        what, who = str(record.details.get("of", "")), record.operator or "somebody"
        begun = f"{ANNOUNCED.get(what, f'{what} of archives')} by {who}, begun {record.time:%Y-%m-%d %H:%M} UTC"
        if what in ANNOUNCED:
            yield Doubt(f"{begun}, has not ended: the same command, run again, ends it", kind="unfinished")
        elif now - record.time > AT_WORK:
            yield Doubt(f"{begun}, has not ended: the next `inv prune` ends it", kind="removal")


def _config(state: State, known: Ledger) -> Iterable[Doubt]:
    if any(record.details.get("of") == "change-passphrase" for record in known.unfinished):
        return  # reported above
    if known.config_sha256 and state.config_sha256 and state.config_sha256 != known.config_sha256:
        yield Doubt("the repository's key was changed: its `config` is not the recorded one", kind="key")


def _objects(state: State, known: Ledger) -> Iterable[Doubt]:
    """Compare the objects live after each recorded transaction with those live now; report the largest difference."""
    if not known.counts:
        return
    if state.transaction is not None and state.transaction < max(known.counts):
        yield Doubt(
            f"the repository is at transaction {state.transaction}, and was at {max(known.counts)} before",
            kind="objects",
        )
        return
    alive = {transaction: state.objects_up_to(transaction) for transaction in known.counts}
    if any(each is None for each in alive.values()):
        what = "the repository's `hints` and `index` cannot be read: whether anything was overwritten is unknown"
        yield Doubt(what, kind="objects")
        return
    lost = max(count - (alive[transaction] or 0) for transaction, count in known.counts.items())
    if lost > 0:
        what = f"{_count(lost, 'object')} of recorded archives {_were(lost)} overwritten or deleted"
        yield Doubt(f"{what}, or a borg other than ours freed space (`borg compact`)", kind="objects")


def _gone(archives: Sequence[Archive], known: Ledger) -> Iterable[Doubt]:
    there = {archive.name for archive in unrecorded(archives, known)}  # reused names are reported below
    gone = known.expected - {archive.id for archive in archives}
    gone -= {each for each in gone if known.made.get(each) in there}
    names = sorted(known.made.get(each) or f"one of id {each[:12]}" for each in gone)
    if gone:
        what = f"{_names(names)} {_were(len(gone))} recorded, and {_are(len(gone))} not in the repository"
        yield Doubt(what, _sources(names), "gone", frozenset(gone))


def _unknown(archives: Sequence[Archive], known: Ledger) -> Iterable[Doubt]:
    found = {archive.name: archive.id for archive in unrecorded(archives, known)}
    replaced = sorted(name for name in found if name in set(known.made.values()))
    others = sorted({archive.name for archive in strangers(archives, known)} - set(replaced))
    if replaced:
        what, ids = f"{_names(replaced)} {_are(len(replaced))} not the recorded one", {found[name] for name in replaced}
        yield Doubt(what, _sources(replaced), "replaced", frozenset(ids))
    if others:
        what = f"{_names(others)} {_are(len(others))} in the repository, and no record tells of it"
        yield Doubt(what, _sources(others), "unknown", frozenset(found[name] for name in others))


def _renamed(archives: Sequence[Archive], known: Ledger) -> Iterable[Doubt]:
    """Compare names and dates with the recorded ones: a manifest can give them to other archives, with the same ids."""
    wrong = {each.name: each.id for each in archives if _differs(each, known)}
    if wrong:
        names = sorted(wrong)
        what = f"{_names(names)} {_are(len(names))} recorded with another name or date: somebody exchanged archives"
        yield Doubt(what, frozenset(), "replaced", frozenset(wrong.values()))


def _differs(archive: Archive, known: Ledger) -> bool:
    start = known.starts.get(archive.id)
    moved = start is not None and abs(archive.start.timestamp() - start) > CLOCKS_APART.total_seconds()
    return moved or known.names.get(archive.id, archive.name) != archive.name


def _dates(archives: Sequence[Archive], now: datetime) -> Iterable[Doubt]:
    ahead = sorted(archive.name for archive in archives if archive.start > now + CLOCKS_APART)
    if ahead:
        yield Doubt(f"{_names(ahead)}: dated in the future", _sources(ahead), "dated", frozenset(ahead))
    odd = sorted(archive.name for archive in archives if archive.name not in ahead and _misdated(archive))
    if odd:
        yield Doubt(f"{_names(odd)}: dated otherwise than the name says", _sources(odd), "dated", frozenset(odd))


def _misdated(archive: Archive) -> bool:
    named = archive_name.parse(archive.name)
    return named is not None and abs(archive.start - named.time) > CLOCKS_APART


def _sources(names: Iterable[str]) -> frozenset[str]:
    """Return the sources of some archives; empty, which means all, if a name is not one of ours."""
    parsed = [archive_name.parse(name) for name in names]
    return frozenset(each.source for each in parsed if each) if all(parsed) else frozenset()


def _names(names: Sequence[str]) -> str:
    shown, more = names[:SHOWN], len(names) - SHOWN
    if more > 0:
        return f"{', '.join(shown)} and {more} more"
    return " and ".join(filter(None, [", ".join(shown[:-1]), shown[-1]]))


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number != 1 else ''}"


def _are(number: int) -> str:
    return "are" if number > 1 else "is"


def _were(number: int) -> str:
    return "were" if number > 1 else "was"

"""The reasons for refusing to drop archives or free space, and which of them a person may override.

One table, one function, no I/O. Used by `prune`, `borg.prune`, `borg.delete`, `borg.compact` and the deletes of a
published copy.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from tasks.borg.anomalies import CLOCKS_APART, Doubt, doubts
from tasks.borg.client import archive_name
from tasks.borg.client.list import Archive, Listing
from tasks.inventory.models import App
from tasks.records.chronology import AHEAD, in_order
from tasks.records.ledger import Ledger, ledger
from tasks.records.record import UNCHANGED, Record, Records
from tasks.records.verdict import SAVING
from tasks.sources.kinds import kind_of
from tasks.storage.state import State

FORCE, ACCEPT = "--force", "report.accept"
LOOK = "`inv report --app {app}` and `inv borg.list --app {app}` show more; `inv borg.rollback --app {app}` undoes it"
COUNT = f"`inv borg.check --app {{app}} --verify-data` reads all of it, and counts again where it is whole; {LOOK}"
BACKUP = "make a good backup first: `inv backup --app {app}`"
DRILL = "prove one by a restore drill: `inv verify --app {app}`"


@dataclass(frozen=True)
class Refusal:
    """One kind of reason: what it is, what resolves it, and which of FORCE and ACCEPT override it."""

    what: str
    remedy: str
    ways: tuple[str, ...] = ()


REFUSALS: Mapping[str, Refusal] = {
    "gone": Refusal("a recorded archive is not in the repository", LOOK, (FORCE,)),
    "unknown": Refusal("an archive is there that no record tells of", LOOK, (FORCE, ACCEPT)),
    "replaced": Refusal(
        "an archive is in the place of the recorded one, or has another name or date than recorded", LOOK, (FORCE,)
    ),
    "dated": Refusal("an archive is dated in the future, or otherwise than its name says", LOOK, (FORCE, ACCEPT)),
    "key": Refusal("the repository's key is not the recorded one", LOOK, (FORCE,)),
    "objects": Refusal("objects of recorded archives were overwritten or deleted", COUNT, (FORCE,)),
    "records": Refusal("a record cannot be read", LOOK, (FORCE,)),
    "check": Refusal("the newest check failed", "mend it, then `inv check --app {app}`", (FORCE,)),
    "drill": Refusal("the newest restore drill of a source failed", DRILL, (FORCE, ACCEPT)),
    "verdict": Refusal("the newest archive of a source is incomplete or suspect", BACKUP, (FORCE, ACCEPT)),
    "stale": Refusal("the newest backup of a source is late, failed or missing", BACKUP, (FORCE,)),
    "unproven": Refusal("no proven backup of a database would remain", DRILL, (FORCE,)),
    "unfinished": Refusal(
        "what was announced has not ended: a change of the passphrase, a rollback, a publishing and the like",
        "run the same command again, or wait for its end",
    ),
    "nothing": Refusal("a source would be left without any good archive", f"{BACKUP}, or accept one as right"),
}


@dataclass(frozen=True)
class Evidence:
    """What is known of one app's repository at one moment."""

    app: App
    listing: Listing
    state: State
    records: Records
    now: datetime

    @cached_property
    def known(self) -> Ledger:
        """What the records know."""
        return ledger(self.records, self.now)

    @cached_property
    def past(self) -> list[Record]:
        """The records in order, without those written by a wrong clock."""
        return [each.record for each in in_order(self.records, self.now) if each.sure]

    @cached_property
    def ids(self) -> frozenset[str]:
        """The ids of all archives in the repository."""
        return frozenset(archive.id for archive in self.listing.archives)

    @cached_property
    def good(self) -> frozenset[str]:
        """The ids of good archives: ours or accepted, complete, not failed in a drill, not dated in the future.

        An archive whose backup has not written its record yet is not among them.
        """
        known = self.known
        bad = known.not_good | known.failed_drill
        ahead = {each.id for each in self.listing.archives if each.start > self.now + CLOCKS_APART} - known.accepted
        return frozenset(each for each in self.ids if each in known.made and each not in bad and each not in ahead)

    @cached_property
    def lost(self) -> tuple[str, ...]:
        """The names of our archives that are gone, including rolled-back ones; empty if a name is unknown.

        Nameless archives that we removed are left out: their source is unknown, and they are long gone.
        """
        names = self.known.ours
        return tuple(
            names[each] for each in names if each not in self.ids and (names[each] or each in self.known.expected)
        )

    @cached_property
    def doubts(self) -> list[Doubt]:
        """The repository's anomalies."""
        broken = [name for name in self.records.broken if name not in self.known.ignored]
        unread = [Doubt(f"the record {name} cannot be read", kind="records") for name in broken]
        return [*doubts(self.listing.archives, self.state, self.known, self.now), *unread]

    def of(self, source: str) -> tuple[Archive, ...]:
        """Return the archives of a source, oldest first."""
        return self.listing.of(self.app.names, source)


def refusals(found: Evidence, left: Collection[str]) -> list[Doubt]:
    """Return every reason against leaving only the archives with the ids `left`; each is of a kind in REFUSALS."""
    reasons = [
        *(doubt for doubt in found.doubts if doubt.kind in REFUSALS),
        *_check(found),
        *_drills(found),
        *_verdicts(found, left),
        *_stale(found, left),
        *_unproven(found, left),
        *_nothing(found, left),
    ]
    return list({reason.text: reason for reason in reasons}.values())


def _check(found: Evidence) -> Iterable[Doubt]:
    checks = [record for record in found.past if record.action == "check"]
    if checks and checks[-1].outcome == "failed":
        why = checks[-1].error or "it does not say why"
        yield Doubt(f"the check of {checks[-1].time:%Y-%m-%d %H:%M} UTC failed: {why}", kind="check")


def _drills(found: Evidence) -> Iterable[Doubt]:
    for source in found.app.sources:
        every = (record for record in found.past if (record.action, record.source) == ("verify", source))
        drills = [record for record in every if archive_name.names_source(record.archive, source)]
        if (
            drills
            and drills[-1].outcome == "failed"
            and drills[-1].archive_id not in _accepted_since(found, drills[-1])
        ):
            of = drills[-1].archive or source
            why = drills[-1].error or "it does not say why"
            yield Doubt(f"the restore drill of {of} failed: {why}", frozenset({source}), "drill")


def _accepted_since(found: Evidence, drill: Record) -> frozenset[str]:
    """Return the archives that a person accepted after a drill."""
    return found.known.accepted - found.known.failed_drill if drill.archive_id else frozenset()


def _verdicts(found: Evidence, left: Collection[str]) -> Iterable[Doubt]:
    for source in found.app.sources:
        own = (each for each in found.of(source) if each.id in left and each.name not in found.known.begun)
        newest = max(own, key=lambda archive: archive.start, default=None)
        if newest and newest.id in found.known.not_good:
            what = f"{newest.name}, the newest of {source}, is incomplete or suspect, and nobody accepted it"
            yield Doubt(what, frozenset({source}), "verdict", frozenset({source}))


def _stale(found: Evidence, left: Collection[str]) -> Iterable[Doubt]:
    for source in found.app.sources:
        about = frozenset({source})
        tried = [each for each in found.past if each.source == source and each.time <= found.now + AHEAD]
        looks = [each.time for each in tried if each.action == UNCHANGED]
        own = (each.start for each in found.of(source) if each.id in left)
        newest = max((*looks, *own), default=None)
        if newest is None and found.of(source):
            continue  # reported by `_nothing`
        if newest is None:
            yield Doubt(f"there is no archive of {source}", about, "stale")
            continue
        if found.now - newest > found.app.max_age:
            what = f"the newest archive of {source} is late: it is of {newest:%Y-%m-%d %H:%M} UTC"
            yield Doubt(what, about, "stale", frozenset({source}))
        saved = [each for each in tried if each.action in SAVING]
        if saved and saved[-1].outcome == "failed":
            yield Doubt(f"the newest backup of {source} failed", about, "stale")


def _unproven(found: Evidence, left: Collection[str]) -> Iterable[Doubt]:
    for source in found.app.sources:
        own = {archive.id for archive in found.of(source)}
        if kind_of(source).must_be_proven and own and not own & set(left) & found.known.proven:
            yield Doubt(f"no proven backup of {source} would remain", frozenset({source}), "unproven")


def _of(name: str) -> str:
    named = archive_name.parse(name)
    return named.source if named else ""


def _nothing(found: Evidence, left: Collection[str]) -> Iterable[Doubt]:
    """Never leave a source without a good archive; if it has none now, a dropped one may be the last to bring back."""
    for source in found.app.sources:
        own = {archive.id for archive in found.of(source)}
        lost = [_of(name) for name in found.lost]
        if own - set(left) and not own & set(left) & found.good:
            yield Doubt(f"no good archive of {source} would remain", frozenset({source}), "nothing")
        elif not own & found.good and (own & set(found.known.ours) or source in lost or "" in lost):
            yield Doubt(f"no good archive of {source} is there", frozenset({source}), "nothing")

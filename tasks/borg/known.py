"""Which archives have a record, and so which one is `latest`: anybody with a host's key can add a newer one.

Any archive can be chosen by name.
"""

from dataclasses import dataclass
from datetime import datetime

from tasks.borg.client.list import Archive, Listing, Names
from tasks.errors import RefusedError, UsageError
from tasks.records.ledger import ledger
from tasks.records.record import Records
from tasks.records.verdict import ACCEPT
from tasks.times import shown

LATEST = "latest"
UNKNOWN = "no record knows it: somebody with the host's key may have made it, so it proves nothing"


@dataclass(frozen=True)
class Latest:
    """The newest archive with a record, and a newer one without, if there is one."""

    archive: Archive
    newer: Archive | None = None

    @property
    def said(self) -> tuple[str, ...]:
        """Remarks for people."""
        return (f"{self.newer.name} is newer, and {UNKNOWN}; --archive takes it",) if self.newer else ()


def known_ids(records: Records) -> frozenset[str]:
    """Return the ids of the archives that we made or a person accepted."""
    accepted = (record.archive_id for record in records.all if record.action == ACCEPT)
    return frozenset({*ledger(records).made, *filter(None, accepted)})


def latest(
    listing: Listing, names: Names, source: str, known: frozenset[str], before: datetime | None = None
) -> Latest:
    """Return the newest known archive of a source, at most from `before`.

    Raises UsageError if there is none, RefusedError if there are only unknown ones.
    """
    every = sorted(listing.of(names, source), key=lambda archive: archive.start)
    every = [archive for archive in every if before is None or archive.start <= before]
    app = names[0]
    if not every:
        at = f" at {shown(before)}" if before else ""
        raise UsageError(f"{app} has no archive of {source} yet{at}", f"`inv borg.list --app {app}` shows them")
    mine = [archive for archive in every if archive.id in known]
    if not mine:
        raise RefusedError(
            f"{app}: no record knows any archive of {source}; the newest is {every[-1].name}",
            f"`inv report --app {app}` says more; `--archive {every[-1].name}` takes it all the same",
        )
    return Latest(mine[-1], None if mine[-1] is every[-1] else every[-1])

"""Which archives of binary logs a full backup needs to be brought to later moments."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Protocol

CLOCK_STEP = timedelta(minutes=5)  # a host's clock may have been set back between two archives


class Dated(Protocol):
    """An archive in a listing: its name, and when it began by its host's clock."""

    @property
    def name(self) -> str:
        """Return its name."""

    @property
    def start(self) -> datetime:
        """Return when it began."""


def needed_by_chain(bases: Iterable[Dated], binlogs: Iterable[Dated], since: datetime | None = None) -> frozenset[str]:
    """Return the names of the archives of binary logs without which a kept base could reach fewer moments.

    `bases` are the full backups to keep, `binlogs` all archives of the source `binlog`. A base needs every binary log
    from the one that was open when its copy ended. A log archived before the copy began was closed before that, so no
    base needs it: this follows from the listing alone, so no record can be missing or wrong. A margin allows for clocks
    that were set back.

    `since` shortens the window: a base from before it needs no binary logs after `since`. The newest base keeps its
    own, however old it is. The newest archive of binary logs is kept, as the next one continues it. Without any base,
    all are needed, because nothing can be judged.
    """
    bases, binlogs = list(bases), list(binlogs)
    if not bases:
        return frozenset(each.name for each in binlogs)
    newest = max(base.start for base in bases)
    begins = min(base.start for base in bases if since is None or base.start >= since or base.start == newest)
    last = max((each.start for each in binlogs), default=begins)
    return frozenset(each.name for each in binlogs if each.start >= min(begins - CLOCK_STEP, last))

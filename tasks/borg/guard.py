"""What stands before everything that drops archives or frees their space: does the repository look right?

While only pruned or deleted, archives can be brought back; a `compact` is final (tried, borg 1.2.4 and 1.4.5).
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from tasks.borg.list import Listing
from tasks.errors import RefusedError

CLOCKS_APART = timedelta(hours=1)  # how far an app host's clock may be ahead before its archives look forged


def may_free(app: str, sources: Sequence[str], listing: Listing, max_age: timedelta, now: datetime) -> None:
    """Return when space of `app` may be freed; raise RefusedError, with the reason, when something looks wrong.

    Wrong is: a source of the app without any archive, or whose newest is older than `max_age`, and an archive dated
    in the future: that one would take the place of real ones in `keep`.
    """
    for archive in listing.archives:
        if archive.start > now + CLOCKS_APART:
            raise _refused(
                app, f"the archive {archive.name} is dated in the future ({archive.start:%Y-%m-%d %H:%M} UTC)"
            )
    for source in sources:
        newest = max((archive.start for archive in listing.of(app, source)), default=None)
        if newest is None:
            raise _refused(app, f"there is no archive of {source}")
        if now - newest > max_age:
            raise _refused(app, f"the newest archive of {source} is late: it is of {newest:%Y-%m-%d %H:%M} UTC")


def _refused(app: str, reason: str) -> RefusedError:
    return RefusedError(f"{app}: nothing is freed: {reason}", "look why, and make a good backup first")

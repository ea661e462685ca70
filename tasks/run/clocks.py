"""Compares this machine's clock with the storage's and the app host's before anything is written.

Archive names and record times come from this machine's clock. If it were a year ahead, it would write records that no
later one could supersede, so a run that writes is refused if every other clock that could be read disagrees.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from tasks.errors import CloudbackupError, RefusedError
from tasks.inventory.models import App
from tasks.run.session import Session

SAID = timedelta(minutes=2)  # a difference that is reported
REFUSED = timedelta(minutes=10)  # a difference at which nothing is written
VARIABLE, OWN = "CLOUDBACKUP_CLOCK", "own"  # with this setting, this machine's clock is trusted


class ClockError(RefusedError):
    """The operator's clock is wrong: archives and records would get wrong dates."""

    unrecorded = True


@dataclass(frozen=True)
class Apart:
    """How far another clock is ahead of this machine's; `whose` names it."""

    whose: str
    ahead: timedelta

    def __str__(self) -> str:
        way = "behind" if self.ahead > timedelta(0) else "ahead of"
        return f"{span(abs(self.ahead))} {way} {self.whose}"


def compared(session: Session, app: App, *, host: bool) -> tuple[str, ...]:
    """Return the reportable differences of the storage's clock and, with `host`, of the app host's.

    Clocks that cannot be read are skipped. Raises ClockError if this machine's is wrong, and HostError for an
    unreachable host. Without `host`, the next step needs the storage from here too, so a transient error of the storage
    is raised: the retry then asks again instead of continuing with an unchecked clock.
    """
    found = _asked(session, app, host=host)
    apart = [each for each in found if abs(each.ahead) >= SAID]
    if not apart:
        return ()
    what = f"this machine's clock is {' and '.join(map(str, apart))}"
    if all(abs(each.ahead) >= REFUSED for each in found) and os.environ.get(VARIABLE) != OWN:
        raise ClockError(
            f"{app.name}: {what}: nothing is done, for all of it would be dated wrongly",
            f"set it right (`timedatectl set-ntp true`); where it is the right one, {VARIABLE}={OWN} goes by it",
        )
    return (what,)


def span(apart: timedelta) -> str:
    """Return a duration in words, in its largest unit."""
    seconds = int(apart.total_seconds())
    for unit, length in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            count = seconds // length
            return f"{count} {unit}{'s' if count > 1 else ''}"
    return f"{seconds} seconds"


def _asked(session: Session, app: App, *, host: bool) -> Sequence[Apart]:
    found = []
    try:
        storage = session.storage_of(app).ahead(app)
    except CloudbackupError as error:  # the next step reports this fault better
        if error.transient and not host:
            raise
        storage = None
    if storage is not None:
        found.append(Apart(f"that of the storage {app.storage}", timedelta(seconds=storage)))
    if host and app.host != "local" and (ahead := session.host(app).facts().ahead) is not None:
        found.append(Apart(f"that of {app.host}", timedelta(seconds=ahead)))
    return found

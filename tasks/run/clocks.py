"""Clocks: this machine's, the storage's and the app's host's, compared before anything is written.

Names of archives and times of records are this machine's. One that is a year ahead writes records that nothing later
would count against, so a run that writes is refused while every other clock that could be asked says otherwise.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from tasks.errors import CloudbackupError, RefusedError
from tasks.inventory.models import App
from tasks.run.session import Session

SAID = timedelta(minutes=2)  # from here on a person hears of it
REFUSED = timedelta(minutes=10)  # and from here on nothing is written
VARIABLE, OWN = "CLOUDBACKUP_CLOCK", "own"  # set to this, this machine's clock is the source of time


class ClockError(RefusedError):
    """The operator's clock is wrong: what it wrote would be dated wrongly, records included."""

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
    """Return what a person should hear of the clocks of the storage, and with `host` of the app's host.

    One that does not tell is left out. Raises ClockError when this machine's is wrong, HostError for a host that cannot
    be reached, and without `host`, where whatever follows needs the storage from here as well, a fault of the storage
    that may pass: who tries that again asks again, in place of going on by a clock that nobody looked at.
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
    """Return a span of time in words, in its largest unit."""
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
    except CloudbackupError as error:  # what is wrong with it, whatever comes next says better
        if error.transient and not host:
            raise
        storage = None
    if storage is not None:
        found.append(Apart(f"that of the storage {app.storage}", timedelta(seconds=storage)))
    if host and app.host != "local" and (ahead := session.host(app).facts().ahead) is not None:
        found.append(Apart(f"that of {app.host}", timedelta(seconds=ahead)))
    return found

"""Which archive a restore or a drill uses.

`latest` is the newest archive that has a record (tasks/borg/known.py). Any archive can be chosen by name.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property

from tasks.borg.client.list import Archive, Listing, archives, look_up
from tasks.borg.known import LATEST, UNKNOWN, known_ids, latest
from tasks.errors import UsageError
from tasks.inventory.errors import nearest
from tasks.inventory.models import App
from tasks.records.record import Records
from tasks.records.verdict import Verdict, verdict_of_comment, verdicts
from tasks.run.session import Session
from tasks.storage.repository import Repository


@dataclass(frozen=True)
class Choice:
    """The chosen archive; whether it has a record, its backup's verdict, and remarks for people."""

    archive: Archive
    known: bool
    verdict: Verdict
    said: tuple[str, ...] = ()


class Choices:
    """The archives of an app, to be chosen by name or as `latest`."""

    def __init__(self, session: Session, app: App, repository: Repository) -> None:
        self.session, self.app, self.repository = session, app, repository

    @cached_property
    def records(self) -> Records:
        """The app's records since the newest milestone."""
        return self.session.storage_of(self.app).read_history(self.app)

    @cached_property
    def known(self) -> frozenset[str]:
        """The ids of the archives that we made or a person accepted."""
        return known_ids(self.records)

    @cached_property
    def listing(self) -> Listing:
        """All archives."""
        return archives(self.repository)

    @property
    def known_listing(self) -> Listing:
        """The archives that have a record."""
        return replace(self.listing, archives=tuple(each for each in self.listing.archives if each.id in self.known))

    def named(self, wanted: str) -> Archive:
        """Return an archive by its name, with its comment. Raises UsageError."""
        found = look_up(self.repository, self.app.name, "", wanted)
        if found is None:
            near = nearest(wanted, [each.name for each in self.listing.archives])
            raise UsageError(
                f"{self.app.name} has no archive {wanted}{near}", f"`inv borg.list --app {self.app.name}` shows them"
            )
        return found

    def choose(self, source: str, wanted: str = LATEST, before: datetime | None = None) -> Choice:
        """Return the archive named `wanted`, or for `latest` the newest known one, at most from `before`.

        Raises UsageError if there is none, RefusedError if there are only unknown ones.
        """
        if wanted != LATEST:
            return self._judged(self.named(wanted), source)
        newest = look_up(self.repository, self.app.name, source) if before is None else None
        if newest is not None and newest.id in self.known:
            return self._judged(newest, source)
        found = latest(self.listing, self.app.name, source, self.known, before)
        return self._judged(self.named(found.archive.name), source, found.said)

    def _judged(self, archive: Archive, source: str, said: tuple[str, ...] = ()) -> Choice:
        verdict = verdicts(self.records).get(archive.id) or verdict_of_comment(archive.comment)
        known = archive.id in self.known
        lines = [*said, *(() if known else (f"{archive.name}: {UNKNOWN}",))]
        if verdict.left_out:
            lines += [f"{archive.name} lacks {verdict.left_out}: {'; '.join(verdict.first[:5])}", self._whole(source)]
        lines += [f"{archive.name} is suspect: {each}" for each in verdict.suspect if verdict.accepted is None]
        return Choice(archive, known, verdict, tuple(filter(None, lines)))

    def _whole(self, source: str) -> str:
        """Return a line that names the newest complete archive."""
        judged = verdicts(self.records)
        whole = [
            each for each in self.known_listing.of(self.app.name, source) if not judged.get(each.id, Verdict()).left_out
        ]
        newest = max(whole, key=lambda archive: archive.start, default=None)
        return f"the newest whole one is {newest.name}: --archive takes it" if newest else "no whole one is known"

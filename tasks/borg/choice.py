"""Which archive a restore, a drill or one of borg's verbs uses.

`latest` is the newest archive that has a record (tasks/borg/known.py). A moment is the newest good one that was made
before it. Any archive can be chosen by name; where a name could also be a moment, the archive of that name is meant.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property

from tasks.borg.client.archive_name import parse
from tasks.borg.client.list import Archive, Listing, archives, look_up
from tasks.borg.known import LATEST, UNKNOWN, known_ids, latest
from tasks.errors import UsageError
from tasks.inventory.errors import nearest
from tasks.inventory.models import App
from tasks.records.record import Records
from tasks.records.verdict import Verdict, verdict_of_comment, verdicts
from tasks.run.session import Session
from tasks.storage.repository import Repository
from tasks.times import moment_or_none, shown

MOMENT = "write a name, `latest`, or a moment as '2026-11-22 14:03', 14:03, 'yesterday 14:03' or '3 hours ago'"


@dataclass(frozen=True)
class Choice:
    """The chosen archive; whether it has a record, its backup's verdict, and remarks for people."""

    archive: Archive
    known: bool
    verdict: Verdict
    said: tuple[str, ...] = ()


@dataclass(frozen=True)
class Asked:
    """What a person's `--archive` means: the archive of that name, the newest good one `before`, or else the newest."""

    name: str | None = None
    before: datetime | None = None


class Choices:
    """The archives of an app, to be chosen by name, by a moment, or as `latest`."""

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

    @cached_property
    def verdicts(self) -> Mapping[str, Verdict]:
        """The verdicts of the records, by the archives' ids."""
        return verdicts(self.records)

    def asked(self, wanted: str) -> Asked:
        """Return what `--archive` means. Raises UsageError for what looks like a moment and is none."""
        if wanted == LATEST:
            return Asked()
        moment = None if parse(wanted) else moment_or_none(wanted)
        if moment is not None and wanted not in (each.name for each in self.listing.archives):
            return Asked(before=moment)
        return Asked(wanted)

    def named(self, wanted: str) -> Archive:
        """Return an archive by its name, with its comment. Raises UsageError."""
        found = look_up(self.repository, self.app.names, "", wanted)
        if found is None:
            near = nearest(wanted, [each.name for each in self.listing.archives])
            raise UsageError(
                f"{self.app.name} has no archive {wanted}{near}",
                f"`inv borg.list --app {self.app.name}` shows them; {MOMENT}",
            )
        return found

    def choose(self, source: str, wanted: str = LATEST, before: datetime | None = None) -> Choice:
        """Return the archive that `wanted` means: a name, `latest`, or a moment; `latest` is at most from `before`.

        Raises UsageError if there is none, RefusedError if there are only unknown ones.
        """
        asked = self.asked(wanted)
        if asked.name is not None:
            named = parse(asked.name)
            return self._judged(self.named(asked.name), named.source if named else source)
        before = min(filter(None, (before, asked.before)), default=None)
        if before is not None:
            return self._good(source, before)
        newest = look_up(self.repository, self.app.names, source)
        if newest is not None and newest.id in self.known:
            return self._judged(newest, source)
        found = latest(self.listing, self.app.names, source, self.known)
        return self._judged(self.named(found.archive.name), source, found.said)

    def start(self, source: str, wanted: str, to: datetime) -> str:
        """Return the archive from which logs go on `to` a moment: its name, or `latest`. Raises as `choose`."""
        asked = self.asked(wanted)
        return wanted if asked.before is None else self.choose(source, wanted, to).archive.name

    def previous(self, archive: Archive, source: str) -> Choice:
        """Return the newest good archive of a source that is older than another one. Raises as `choose`."""
        older = [each for each in self.listing.of(self.app.names, source) if each.start < archive.start]
        if not older:
            raise UsageError(f"{self.app.name} has no archive of {source} before {archive.name}", "name two: --first")
        return self._good(source, max(each.start for each in older), remark=False)

    def _good(self, source: str, before: datetime, *, remark: bool = True) -> Choice:
        """Return the newest good archive from before a moment; if there is none, the newest, and what is wrong with it.

        Raises as `known.latest`.
        """
        found = latest(self.listing, self.app.names, source, self.known, before)
        mine = [each for each in self.known_listing.of(self.app.names, source) if each.start <= before]
        good = [each for each in mine if self.verdicts.get(each.id, Verdict()).good]
        newest = max(good, key=lambda archive: archive.start, default=found.archive)
        said = found.said
        if newest.start < found.archive.start:
            said = (*said, f"{found.archive.name} is newer, and not whole or suspect; --archive takes it")
        return self._judged(
            self.named(newest.name), source, (*said, *(self._read_later(newest, before) if remark else ()))
        )

    def _read_later(self, archive: Archive, moment: datetime) -> Iterator[str]:
        """Yield a remark if a backup that began before a moment went on after it."""
        for record in self.records.all:
            if record.archive_id == archive.id and record.action == "backup" and record.duration_seconds:
                end = record.time + timedelta(seconds=record.duration_seconds)
                if end > moment:
                    yield f"{archive.name} was read until {shown(end)}: a file in it may be of after {shown(moment)}"

    def _judged(self, archive: Archive, source: str, said: tuple[str, ...] = ()) -> Choice:
        verdict = self.verdicts.get(archive.id) or verdict_of_comment(archive.comment)
        known = archive.id in self.known
        lines = [*said, *(() if known else (f"{archive.name}: {UNKNOWN}",))]
        if verdict.left_out:
            lines += [f"{archive.name} lacks {verdict.left_out}: {'; '.join(verdict.first[:5])}", self._whole(source)]
        lines += [f"{archive.name} is suspect: {each}" for each in verdict.suspect if verdict.accepted is None]
        return Choice(archive, known, verdict, tuple(filter(None, lines)))

    def _whole(self, source: str) -> str:
        """Return a line that names the newest complete archive."""
        whole = [
            each
            for each in self.known_listing.of(self.app.names, source)
            if not self.verdicts.get(each.id, Verdict()).left_out
        ]
        newest = max(whole, key=lambda archive: archive.start, default=None)
        return f"the newest whole one is {newest.name}: --archive takes it" if newest else "no whole one is known"

"""Restores a server's archive: into a folder or in place, as it was saved or as of a moment."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from tasks.borg.choice import Choice, Choices
from tasks.borg.client.extract import content, size
from tasks.borg.client.list import Archive, contents
from tasks.containers.one_off import one_off
from tasks.inventory.models import MariaDB
from tasks.mariadb import mariadb_source, recovery_plan, unpack
from tasks.mariadb import restore as server
from tasks.mariadb.archive_parts import Part, needed
from tasks.mariadb.host import tables
from tasks.mariadb.point_in_time import Moment, Recovered
from tasks.mariadb.restore import RestoreRequest
from tasks.mariadb.unpack import Unpacked
from tasks.sources.base import Destination, Planned, Restored

PROGRESS = "replay: "  # prefix of lines about the progress of replaying binary logs


@dataclass(frozen=True)
class Chosen:
    """An archive, and the moment to which its server is brought; None: as it was saved.

    `choice` is how it was chosen; None if records led to the moment.
    """

    choices: Choices
    archive: Archive
    moment: Moment | None = None
    choice: Choice | None = None

    def request(self, *, trust: bool, beside: MariaDB | None = None, part: Part | None = None) -> RestoreRequest:
        """Return what to restore: all, or what is enough for a part. `trust` is as in RestoreRequest.

        Where the server runs in a container, it is restored in one of the same image. The server is `beside`, on the
        host where it is restored, or the app's own. Raises BorgError, HostError.
        """
        session, app, repository = self.choices.session, self.choices.app, self.choices.repository
        database = beside or app.mariadb
        inside = one_off(repository.host, database.exec) if database else None
        names = self._names(part) if part else None
        stream = content(repository, self.archive.name, *(names or (mariadb_source.STREAM,)))
        total, _ = size(repository, self.archive.name, names or ())
        version = mariadb_source.version(repository, self.archive)
        remembered = mariadb_source.remembered(session, app, self.archive)
        known = tables.parse(remembered.get(mariadb_source.TABLES))
        partial = names is not None
        return RestoreRequest(stream, total, self.moment, version, known, trust, remembered, inside, partial)

    def _names(self, part: Part) -> tuple[str, ...] | None:
        """Return the paths in the archive that are enough for a part; None if all must be read.

        A replay of binary logs needs every table that they change.
        """
        if self.moment is not None:
            return None
        repository = self.choices.repository
        return needed((entry.path for entry in contents(repository, self.archive.name)), part)


def chosen(choices: Choices, archive: str, at: datetime | None) -> Chosen:
    """Choose an archive, by name, `latest` or a moment; `at` a moment, with the binary logs that lead to it.

    Raises UsageError, RefusedError.
    """
    if at is None:
        choice = choices.choose(mariadb_source.SOURCE, archive)
        return Chosen(choices, choice.archive, choice=choice)
    to = recovery_plan.Target(at, choices.start(mariadb_source.SOURCE, archive, at))
    planned = recovery_plan.planned(choices.session, choices.repository, choices.known_listing, choices.app, to)
    return Chosen(choices, planned.base, planned.moment)


def plan(choices: Choices, archive: str, at: datetime | None) -> Planned:
    """Plan the restore of an archive as `chosen`. Raises UsageError, RefusedError."""
    found = chosen(choices, archive, at)
    to = found.moment.at if found.moment else None
    return Planned(found.archive, partial(_carry_out, found), found.choice, to)


def _carry_out(restore: Chosen, to: Destination) -> Restored:
    request = restore.request(trust=to.trusted)
    total = request.size or 0
    try:
        said, unpacked = _placed(restore, request, to)
    except unpack.ContentError as error:
        raise mariadb_source.unread(restore.choices.app, error) from error
    walls = () if unpacked.walls else ("without walls: --trust-archive",)
    said = (*said, *unpacked.harm(), *walls)
    if unpacked.damaged:
        return Restored(total, said, "incomplete", unpacked.walls)
    return Restored(total, said, "warning" if unpacked.doubtful else "ok", unpacked.walls)


def _placed(restore: Chosen, request: RestoreRequest, to: Destination) -> tuple[tuple[str, ...], Unpacked]:
    """Restore the server's data to its destination; return remarks for people."""
    app, host = restore.choices.app, restore.choices.repository.host

    def listen(line: str) -> None:
        if line.startswith(PROGRESS):
            to.step(line.removeprefix(PROGRESS))

    if to.target is not None:
        unpacked, recovered = server.to_directory(host, request, to.target, listen)
        said = f"in {to.target}, ready for a MariaDB {unpacked.version} to start on"
        return (said, *_reached(restore, recovered), *unpacked.standing(), *_moved_links(unpacked.links)), unpacked
    placed = server.in_place(host, mariadb_source.access(app), request, listen)
    remedy = f"make a backup now: `inv backup --app {app.name}` (the server's binary logs start over)"
    said = f"the server runs on it; what was there is in {placed.old}"
    said_of = (said, *_reached(restore, placed.recovered), *placed.unpacked.standing(), *placed.remarks, remedy)
    return said_of, placed.unpacked


def _reached(restore: Chosen, recovered: Recovered | None) -> list[str]:
    moment = restore.moment
    return recovery_plan.told(recovered, restore.archive.name, moment.at) if recovered and moment else []


def _moved_links(links: Sequence[str]) -> list[str]:
    return [f"{link.removesuffix('.isl')} had its file elsewhere; it is in the folder now" for link in links]

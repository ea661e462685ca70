"""The sources of an app: what `borg create` is to save of each. This is where borg and MariaDB meet."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from tasks.borg.client.archive_name import ArchiveName
from tasks.borg.client.create import Created, FilesOptions, Options, create_script, files_of
from tasks.borg.client.messages import Progress
from tasks.borg.client.runner import ContentError, How
from tasks.borg.create import make
from tasks.borg.paths import some
from tasks.errors import CloudbackupError
from tasks.inventory.models import App
from tasks.mariadb import binlog_source, mariadb_source
from tasks.records.suspect import COMPRESSED
from tasks.records.verdict import Verdict
from tasks.remote.script import Script
from tasks.run.outcome import Outcome
from tasks.run.session import Session
from tasks.sources.base import Ready, Unchanged
from tasks.storage.repository import Side
from tasks.units import size

OnProgress = Callable[[Progress], None]


@dataclass(frozen=True)
class Source:
    """One kind of source.

    `ready` asks the host what must be known beforehand and returns what borg is to save under an archive's name;
    `explained` turns the fault of a command that gave the content into one for a person.
    """

    ready: Callable[[Session, App, str], Ready | Unchanged]
    explained: Callable[[App, ContentError], CloudbackupError]


ALL = {
    "files": Source(lambda _session, app, archive: Ready(files_of(app, archive)), lambda _app, error: error),
    "mariadb": Source(mariadb_source.ready, mariadb_source.explained),
    "binlog": Source(binlog_source.ready, binlog_source.explained),
}


def script(session: Session, app: App, source: str, time: datetime) -> Script | None:
    """Return the script that `save` would run, None when there is nothing new to save. Raises CloudbackupError."""
    ready = ALL[source].ready(session, app, str(ArchiveName(app.name, source, time)))
    return None if isinstance(ready, Unchanged) else create_script(session.repository(app, Side.HOST), ready.options)


def save(session: Session, app: App, source: str, time: datetime, on_progress: OnProgress) -> Outcome:
    """Make an archive of one source and return how it went. Raises CloudbackupError; then there is no archive."""
    ready = ALL[source].ready(session, app, str(ArchiveName(app.name, source, time)))
    if isinstance(ready, Unchanged):
        seconds = (datetime.now(UTC) - time).total_seconds()
        return Outcome(app.name, source, "ok", time, seconds, details=ready.details, unchanged=True)
    try:
        created = make(session, app, session.repository(app, Side.HOST), ready.options, How(on_progress=on_progress))
    except ContentError as error:
        raise ALL[source].explained(app, error) from error
    learnt = ready.learn(created)
    verdict = _verdict(app, source, created)
    done = Outcome(
        app=app.name,
        source=source,
        status="warning" if created.warnings else "ok",
        began=time,
        seconds=created.seconds,
        size=created.size,
        stored=created.stored,
        archive=created.archive,
        archive_id=created.id,
        said=(*told(verdict), *created.warnings, *created.remarks, *learnt.warnings),
        details={**_details(ready.options, created), **learnt.details, **verdict.details},
        met=created.met,
    )
    return done.judged


def _verdict(app: App, source: str, created: Created) -> Verdict:
    """Return the verdict on a new archive, as far as it goes by itself: what is not in it, and what was expected."""
    if source != "files" or app.files is None:
        return created.verdict
    expect = app.files.expect
    less = []
    if expect.min_size is not None and created.size is not None and created.size < expect.min_size:
        less.append(f"{size(created.size)}, less than the {size(expect.min_size)} of `files.expect`")
    if expect.min_files is not None and created.files is not None and created.files < expect.min_files:
        less.append(f"{created.files:,} files, fewer than the {expect.min_files:,} of `files.expect`")
    return replace(created.verdict, suspect=(*created.verdict.suspect, *less))


def told(verdict: Verdict) -> tuple[str, ...]:
    """Return a verdict for a person, a line each, the sum first; empty when it is ok."""
    left_out = [f"{verdict.left_out:,} left out: {some(verdict.first)}"] if verdict.left_out else []
    return (*left_out, *verdict.suspect)


def _details(options: Options, created: Created) -> dict[str, Any]:
    """Return what a record keeps of an archive beyond its size."""
    compressed = None if options.compression.split(",")[-1] == "none" else created.compressed
    values: dict[str, Any] = {COMPRESSED: compressed}
    if isinstance(options, FilesOptions):
        values |= {"files": created.files, "mounts_left": list(created.left)}
    else:
        values |= {"chunk_size": options.chunk_size}
    return {key: value for key, value in values.items() if value not in (None, [])}

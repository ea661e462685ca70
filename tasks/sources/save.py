"""Saving one source of one app: get the content from the source, pass it to borg, judge the archive."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from tasks.borg.client.archive_name import ArchiveName
from tasks.borg.client.create import Created, FilesOptions, Options, create_script
from tasks.borg.client.messages import Progress
from tasks.borg.client.runner import ContentError, How
from tasks.borg.create import make
from tasks.borg.paths import some
from tasks.inventory.models import App
from tasks.records.path_types import TYPES
from tasks.records.suspect import COMPRESSED
from tasks.records.verdict import Verdict
from tasks.remote.script import NICE, Script
from tasks.run.outcome import Outcome
from tasks.run.session import Session
from tasks.sources.base import Unchanged
from tasks.sources.registry import named
from tasks.storage.repository import Side

OnProgress = Callable[[Progress], None]


@dataclass(frozen=True)
class Planned:
    """An archive that `save` would make: its name, the paths that borg would read itself, and what would run."""

    archive: str
    paths: Sequence[str]
    script: Script


def plan(session: Session, app: App, source: str, time: datetime) -> Planned | None:
    """Return what `save` would do; None if there is nothing new to save. Raises CloudbackupError."""
    ready = named(source).content(session, app, str(ArchiveName(app.name, source, time)))
    if isinstance(ready, Unchanged):
        return None
    paths = ready.options.paths if isinstance(ready.options, FilesOptions) else ()
    script = create_script(session.repository(app, Side.HOST), ready.options, gently(app))
    return Planned(ready.options.archive, paths, script)


def save(session: Session, app: App, source: str, time: datetime, on_progress: OnProgress) -> Outcome:
    """Create an archive of one source and return the outcome. Raises CloudbackupError if no archive was made."""
    ready = named(source).content(session, app, str(ArchiveName(app.name, source, time)))
    if isinstance(ready, Unchanged):
        seconds = (datetime.now(UTC) - time).total_seconds()
        return Outcome(app.name, source, "ok", time, seconds, details=ready.details, unchanged=True)
    try:
        how = replace(gently(app), on_progress=on_progress)
        created = make(session, app, session.repository(app, Side.HOST), ready.options, how)
    except ContentError as error:
        raise named(source).explain(app, error) from error
    learnt = ready.learn(created)
    verdict = named(source).judge(app, created)
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


def gently(app: App) -> How:
    """Return how borg runs so that it does not get in the way of the app, as the inventory says."""
    return How(first=NICE if app.nice else "", upload=app.upload.now() if app.upload is not None else None)


def told(verdict: Verdict) -> tuple[str, ...]:
    """Return a verdict for people, one line each, the summary first; empty if it is ok."""
    left_out = [f"{verdict.left_out:,} left out: {some(verdict.first)}"] if verdict.left_out else []
    return (*left_out, *verdict.suspect)


def _details(options: Options, created: Created) -> dict[str, Any]:
    """Return the details of an archive for its record, apart from its size."""
    compressed = None if options.compression.split(",")[-1] == "none" else created.compressed
    values: dict[str, Any] = {COMPRESSED: compressed}
    if isinstance(options, FilesOptions):
        values |= {"files": created.files, "mounts_left": list(created.left), TYPES: dict(created.types)}
    else:
        values |= {"chunk_size": options.chunk_size}
    return {key: value for key, value in values.items() if value not in (None, [], {})}

"""The sources of an app: what `borg create` is to save of each. This is where borg and MariaDB meet."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from tasks.borg.create import FilesOptions, Options, create, create_script, files_of
from tasks.borg.messages import Progress
from tasks.borg.naming import ArchiveName
from tasks.borg.runner import ContentError, How
from tasks.errors import CloudbackupError
from tasks.fleet import database
from tasks.fleet.outcome import Outcome
from tasks.inventory.models import App
from tasks.remote.script import Script
from tasks.storage.repository import Side
from tasks.storage.session import Session

OnProgress = Callable[[Progress], None]


@dataclass(frozen=True)
class Source:
    """One kind of source.

    `options` asks the host what must be known beforehand and returns what borg is to save under an archive's name;
    `explained` turns the fault of a command that gave the content into one for a person.
    """

    options: Callable[[Session, App, str], Options]
    explained: Callable[[App, ContentError], CloudbackupError]


ALL = {
    "files": Source(lambda _session, app, archive: files_of(app, archive), lambda _app, error: error),
    "mariadb": Source(database.options, database.explained),
}


def script(session: Session, app: App, source: str, time: datetime) -> Script:
    """Return the script that `save` would run. Raises CloudbackupError."""
    repository = session.repository(app, Side.HOST)
    return create_script(repository, ALL[source].options(session, app, str(ArchiveName(app.name, source, time))))


def save(session: Session, app: App, source: str, time: datetime, on_progress: OnProgress) -> Outcome:
    """Make an archive of one source and return how it went. Raises CloudbackupError; then there is no archive."""
    repository = session.repository(app, Side.HOST)
    options = ALL[source].options(session, app, str(ArchiveName(app.name, source, time)))
    try:
        created = create(repository, options, How(on_progress=on_progress))
    except ContentError as error:
        raise ALL[source].explained(app, error) from error
    return Outcome(
        app=app.name,
        source=source,
        status="warning" if created.warnings else "ok",
        began=time,
        seconds=created.seconds,
        size=created.size,
        stored=created.stored,
        archive=created.archive,
        archive_id=created.id,
        said=created.warnings,
        details=_details(options),
    )


def _details(options: Options) -> dict[str, int]:
    chunk_size = None if isinstance(options, FilesOptions) else options.chunk_size
    return {"chunk_size": chunk_size} if chunk_size else {}

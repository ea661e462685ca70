"""Comments of the newest archives that have no record: the comment holds the verdict as well.

Listing a comment makes borg read the archive's metadata, so only these archives are queried.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from tasks.borg.catalog import PARALLEL, PATIENCE, Key, key
from tasks.borg.client.list import look_up
from tasks.errors import CloudbackupError
from tasks.inventory.models import App
from tasks.report.judge import Evidence, unjudged
from tasks.report.rows import expected
from tasks.run.parallel import over_apps
from tasks.run.session import Session
from tasks.storage.repository import Side


def with_comments(
    session: Session, apps: Mapping[Key, App], found: Mapping[Key, Evidence], now: datetime
) -> dict[Key, Evidence]:
    """Return the evidence with the comments of newest archives whose verdict is not known otherwise.

    If a comment cannot be listed, it is left out, and the verdict stays unknown.
    """
    unjudged_names = {
        each: [(source.source, name) for source in expected(app) if (name := unjudged(source, found[each], now))]
        for each, app in apps.items()
    }
    asked = [app for each, app in apps.items() if unjudged_names[each]]
    read = over_apps(
        session, asked, PARALLEL, lambda app: _comments(session, app, unjudged_names[key(app)]), lambda *_: {}
    )
    comments = {key(app): texts for app, texts in zip(asked, read, strict=True)}
    return {each: replace(evidence, comments=comments.get(each, {})) for each, evidence in found.items()}


def _comments(session: Session, app: App, sought: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Return comments by archive id; archives are given as (source, name)."""
    try:
        repository = session.repository(app, Side.OPERATOR)
        listed = [look_up(repository, app.names, source, name, PATIENCE) for source, name in sought]
    except CloudbackupError:
        return {}
    return {archive.id: archive.comment for archive in listed if archive and archive.comment}

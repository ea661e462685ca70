"""`app.list`."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from tabulate import tabulate

from tasks.inventory.models import App
from tasks.json_output import written
from tasks.storage.registry import load

HEADERS = ("app", "host", "storage", "sources", "late after", "files", "tags", "paused until")
ALWAYS = 6  # columns that are shown whether an app uses them or not


def table(folder: str, names: Sequence[str]) -> str:
    """Return a table with one line per app. Raises UsageError."""
    now = datetime.now(UTC)
    rows = [_row(app, now) for app in load(Path(folder)).select(names)]
    used = [index for index, _ in enumerate(HEADERS) if index < ALWAYS or any(row[index] for row in rows)]
    cells = [[row[index] for index in used] for row in rows]
    return tabulate(cells, headers=[HEADERS[index] for index in used], tablefmt="plain", disable_numparse=True)


def document(folder: str, names: Sequence[str]) -> str:
    """Return the apps as JSON, each once for each storage. Raises UsageError."""
    return written({"apps": [_values(app, datetime.now(UTC)) for app in load(Path(folder)).select(names)]})


def _values(app: App, now: datetime) -> dict[str, object]:
    return {
        "app": app.name,
        "host": app.host,
        "storage": app.storage,
        "sources": app.sources,
        "paths": app.files.paths if app.files else [],
        "max_age_seconds": app.max_age,
        "tags": app.tags,
        "paused": app.paused if app.paused_at(now) else None,
    }


def _row(app: App, now: datetime) -> tuple[str, ...]:
    hours = app.max_age.total_seconds() / 3600
    paths = " ".join(app.files.paths) if app.files else ""
    paused = str(app.paused) if app.paused_at(now) else ""
    sources = " ".join(app.sources)
    return (app.name, app.host, app.storage, sources, f"{hours:g} h", paths, " ".join(app.tags), paused)

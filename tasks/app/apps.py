"""`app.list`."""

from collections.abc import Sequence
from pathlib import Path

from tabulate import tabulate

from tasks.inventory.models import App
from tasks.storage.registry import load


def table(folder: str, names: Sequence[str]) -> str:
    """Return a table with one line per app. Raises UsageError."""
    rows = [_row(app) for app in load(Path(folder)).select(names)]
    return tabulate(rows, headers=("app", "host", "storage", "sources", "late after", "files"), tablefmt="plain")


def _row(app: App) -> tuple[str, ...]:
    hours = app.max_age.total_seconds() / 3600
    paths = " ".join(app.files.paths) if app.files else ""
    return (app.name, app.host, app.storage, " ".join(app.sources), f"{hours:g} h", paths)

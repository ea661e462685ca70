"""What the report says of repositories' keys: an archive whose key has no copy hangs on the storage alone."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from tasks.report.rows import Row


def told(rows: Iterable[Row], escrowed: Mapping[str, bool], folder: Path) -> Iterator[Row]:
    """Yield the rows, those of apps with archives and without a copy of their key in `folder` with that as an error."""
    for row in rows:
        if row.archive is None or escrowed.get(row.app, True):
            yield row
            continue
        text = f"no copy of the repository's key in {folder}: `inv borg.key-export --app {row.app}`"
        yield replace(row, error="; ".join(filter(None, (row.error, text))))

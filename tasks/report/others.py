"""The remark on archives of other names in an app's repository: what was there before, or what another tool makes."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from tasks.borg.client.list import Archive
from tasks.report.rows import Row
from tasks.units import many


def with_others(rows: Iterable[Row], others: Mapping[tuple[str, str], Sequence[Archive]]) -> Iterator[Row]:
    """Yield the rows; the first of each repository says how many archives of other names it has.

    `others` are those archives by storage and app.
    """
    said: set[tuple[str, str]] = set()
    for row in rows:
        key = (row.storage, row.app)
        found = others.get(key, ())
        if key in said or not found or row.archives is None:
            yield row
            continue
        said.add(key)
        error = f"{row.error}; {_remark(row, found)}" if row.error else _remark(row, found)
        yield replace(row, error=error)


def _remark(row: Row, found: Sequence[Archive]) -> str:
    """Return the remark; without a backup of our own there is nothing that the others could be older than."""
    older = row.last is not None and all(archive.start < row.last for archive in found)
    return f"and {many(len(found), 'older archive' if older else 'archive')} of other names"

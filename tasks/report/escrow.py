"""Key faults in the report: an archive is at risk while the only good copy of its key is in the repository itself."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from tasks.report.rows import Row, StorageRow

Faults = Mapping[tuple[str, str], str | None]  # by storage and app, as returned by `tasks.borg.escrow.fault`


def with_faults(rows: Iterable[Row], faults: Faults) -> Iterator[Row]:
    """Yield the rows; one with archives but no good copy of the key gets that as an error."""
    for row in rows:
        fault = faults.get((row.storage, row.app))
        yield replace(row, error=_joined(row.error, fault)) if fault and row.archive is not None else row


def without_folder(storages: Iterable[StorageRow], rows: Iterable[Row], folder: Path) -> Iterator[StorageRow]:
    """Yield the storages for a machine without the escrow folder: those that hold archives get an error."""
    used = {row.storage for row in rows if row.archive is not None}
    text = f"no copy of any repository's key on this machine: there is no folder {folder}: `inv borg.key-export`"
    for storage in storages:
        yield replace(storage, error=_joined(storage.error, text)) if storage.storage in used else storage


def _joined(error: str | None, text: str) -> str:
    return "; ".join(filter(None, (error, text)))

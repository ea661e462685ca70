"""Records of borg's own verbs."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from tasks.crash import foreseen
from tasks.errors import CloudbackupError, UsageError
from tasks.inventory.models import App
from tasks.records.record import Record, operator_name
from tasks.run import clocks
from tasks.run.session import Session
from tasks.terminal import whole_line


@dataclass
class Note:
    """Contents of the record besides the verb and its time. `wanted` False: write none, as nothing was done."""

    values: dict[str, Any] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)
    wanted: bool = True
    began: datetime | None = None

    def answered(self) -> None:
        """Set the record's time to now: whatever others did while a question was open came before it."""
        self.began = datetime.now(UTC)

    def add(self, details: dict[str, Any]) -> None:
        """Add details, including those that a record has fields for."""
        self.details |= details


@contextmanager
def noted(session: Session, app: App, action: str) -> Iterator[Note]:
    """Write a record of the block, whether it succeeded or failed; failing to write it only prints a message.

    Raises ClockError, before anything is done, while the operator's clock is wrong.
    """
    for said in clocks.compared(session, app, host=False):
        print(whole_line(f"{app.label}: {said}"), file=sys.stderr)
    note, began = Note(), datetime.now(UTC)
    record = Record(app.name, action, began, "ok", operator=operator_name())
    try:
        with foreseen(app.name):
            yield note
    except UsageError:
        raise
    except CloudbackupError as error:
        failed = replace(record, outcome="failed", error=error.what.removeprefix(f"{app.name}: "))
        _write(session, app, failed, note, patient=not error.transient)
        raise
    if note.wanted:
        _write(session, app, record, note)


def _write(session: Session, app: App, record: Record, note: Note, *, patient: bool = True) -> None:
    began = note.began or record.time
    seconds = round((datetime.now(UTC) - began).total_seconds(), 1)
    whole = replace(record, time=began, duration_seconds=seconds, **note.values).with_details(note.details)
    try:
        with foreseen():
            session.write_record(app, whole, patient=patient)
    except CloudbackupError as error:
        print(f"{app.name}: no record of the {record.action} could be written: {error.what}", file=sys.stderr)

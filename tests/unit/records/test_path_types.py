"""A path of the inventory that became something of another type: said once there is a backup that tells its type."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tasks.records.path_types import TYPES
from tasks.records.record import Outcome, Record, Records
from tasks.records.suspect import unlike
from tasks.records.verdict import ACCEPT

BEGAN = datetime(2026, 11, 22, 3, tzinfo=UTC)
FOLDER, FILE = {"/srv/shop": "folder", "/etc/shop": "folder"}, {"/srv/shop": "folder", "/etc/shop": "file"}
SAID = ("/etc/shop is a file, and was a folder in shop-files-0",)


def backup(day: int, types: Any, outcome: Outcome = "ok") -> Record:
    return Record(
        "shop",
        "backup",
        BEGAN + timedelta(days=day),
        outcome,
        "files",
        archive=f"shop-files-{day}",
        archive_id=f"{day:064x}",
        size=1000,
        details={} if types is None else {TYPES: types},
    )


def odd(types: Any, *past: Record) -> Sequence[str]:
    return unlike(backup(9, types), Records(past))


def test_another_type_is_suspect_until_it_is_accepted_or_as_it_was() -> None:
    first, changed = backup(0, FOLDER), backup(1, FILE, "suspect")
    accepted = Record("shop", ACCEPT, BEGAN + timedelta(days=2), "ok", "files", archive_id=changed.archive_id)

    assert odd(FILE, first) == SAID
    assert odd(FILE, first, changed) == SAID
    assert odd(FOLDER, first, changed) == ()
    assert odd(FILE, first, changed, accepted) == ()
    assert odd(FOLDER, first, changed, accepted) == ("/etc/shop is a folder, and was a file in shop-files-1",)


@pytest.mark.parametrize(
    "types", [None, {}, [], "folder", {"/etc/shop": ["folder"]}, {"/etc/shop": ""}, {"/opt": "file"}]
)
def test_records_that_do_not_tell_a_type_raise_no_alarm(types: Any) -> None:
    assert odd(FILE, backup(0, types)) == ()
    assert odd(types, backup(0, FOLDER)) == ()


def test_an_older_backup_tells_what_newer_ones_do_not() -> None:
    assert odd(FILE, backup(0, FOLDER), backup(1, None), backup(2, {"/srv/shop": "folder"})) == SAID


@pytest.mark.parametrize("types", [FILE, {**FILE, "/etc/shop": "FIFO"}])
def test_a_failed_or_another_sources_backup_counts_nothing(types: Mapping[str, str]) -> None:
    other = Record("shop", "backup", BEGAN, "ok", "exports", details={TYPES: types})
    assert odd(FOLDER, backup(0, types, "failed"), other) == ()

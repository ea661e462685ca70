"""A key without a good copy is told in every row of its repository, and of no other."""

from datetime import UTC, datetime
from pathlib import Path

from tasks.report.escrow import with_faults, without_folder
from tasks.report.rows import Row, StorageRow


def row(app: str, archive: str | None, error: str | None = None, storage: str = "box") -> Row:
    last = datetime(2026, 11, 22, tzinfo=UTC) if archive else None
    return Row(app, "host", storage, "files", "ok" if archive else "missing", archive, last, error=error)


def test_an_archive_whose_key_has_no_good_copy_is_told() -> None:
    rows = [row("shop", "x", "late"), row("shop", "x", storage="disk"), row("blog", "x"), row("wiki", None)]
    faults = {("box", "shop"): "no copy", ("disk", "shop"): None, ("box", "wiki"): "no copy"}
    assert [each.error for each in with_faults(rows, faults)] == ["late; no copy", None, None, None]


def test_a_machine_without_the_folder_says_so_for_each_storage_with_archives() -> None:
    storages = [StorageRow("box", "storagebox", error="full"), StorageRow("disk", "local"), StorageRow("new", "local")]
    rows = [row("shop", "x"), row("shop", "x", storage="disk"), row("shop", None, storage="new")]
    said = [each.error or "" for each in without_folder(storages, rows, Path("/keys"))]
    text = "no copy of any repository's key on this machine: there is no folder /keys: `inv borg.key-export`"
    assert said == [f"full; {text}", text, ""]

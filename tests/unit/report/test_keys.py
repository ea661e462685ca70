"""A key without a copy is told in every row of its app."""

from datetime import UTC, datetime
from pathlib import Path

from tasks.report.keys import told
from tasks.report.rows import Row


def row(app: str, archive: str | None, error: str | None = None) -> Row:
    last = datetime(2026, 11, 22, tzinfo=UTC) if archive else None
    return Row(app, "host", "box", "files", "ok" if archive else "missing", archive, last, error=error)


def test_an_archive_whose_key_has_no_copy_is_told() -> None:
    rows = [row("shop", "shop-files-x", "late"), row("blog", "blog-files-x"), row("wiki", None), row("news", "news-x")]
    said = [each.error for each in told(rows, {"shop": False, "blog": True, "wiki": False}, Path("/keys"))]
    assert said == [
        "late; no copy of the repository's key in /keys: `inv borg.key-export --app shop`",
        None,
        None,
        None,
    ]

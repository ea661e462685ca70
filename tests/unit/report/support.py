"""Archives, records and rows with defaults."""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

from tasks.borg.anomalies import doubts
from tasks.borg.client.list import Archive
from tasks.records.ledger import ledger
from tasks.records.record import Outcome, Record, Records
from tasks.report.judge import Evidence, judge
from tasks.report.rows import Expected, Row

NOW = datetime(2026, 11, 22, 3, 10, tzinfo=UTC)
SHOP = Expected("shop", "root@shop.example.org", "box", "files", timedelta(hours=26))


def ago(**span: float) -> datetime:
    return NOW - timedelta(**span)


def archive(start: datetime, name: str | None = None, key: str = "") -> Archive:
    """Return an archive of the shop's files; `key` makes the id of another one of the same name."""
    name = name or f"shop-files-{start:%Y-%m-%dT%H-%M-%S}"
    return Archive(name, hashlib.sha256((name + key).encode()).hexdigest(), start)


def saved(of: Archive, outcome: Outcome = "ok", **more: Any) -> Record:
    """Return the record of the backup that made an archive."""
    values: dict[str, Any] = {
        "app": "shop",
        "action": "backup",
        "source": "files",
        "time": of.start - timedelta(seconds=1),
        "outcome": outcome,
        "duration_seconds": 7.2,
        "archive": of.name,
        "archive_id": of.id,
        "size": 1098552582,
        "stored": 90177536,
    }
    return Record(**(values | more))


def failed(time: datetime, error: str | None = "it broke", **more: Any) -> Record:
    """Return the record of a backup that failed."""
    values: dict[str, Any] = {"app": "shop", "action": "backup", "source": "files", "time": time, "outcome": "failed"}
    return Record(**(values | {"error": error} | more))


def found(archives: list[Archive] | None, records: list[Record] | None = None, **more: Any) -> Row:
    """Judge the shop's files by these archives and records, and by what looks wrong in them."""
    told = Records(tuple(records or ()))
    wrong = doubts(archives, None, ledger(told), NOW) if told.all else []
    return judge(SHOP, Evidence(archives, told, doubts=wrong, **more), NOW)

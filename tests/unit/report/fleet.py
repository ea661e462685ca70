"""A fleet of tens of apps with months of history, as an operator would see it; the same each time."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

from tasks.records.growth import daily_growth
from tasks.records.record import Outcome, Record
from tasks.report.rows import Expected, Holdings, LeftOut, Listed, Report, Row, Status, StorageRow

NOW = datetime(2026, 11, 22, 3, 10, tzinfo=UTC)
APPS = [
    "shop",
    "blog",
    "wiki",
    "mail",
    "crm",
    "forum",
    "tickets",
    "billing",
    "docs",
    "media",
    "intranet",
    "analytics",
    "nextcloud",
    "matomo",
    "gitea",
    "redmine",
    "moodle",
    "wordpress-kita",
    "wordpress-verein",
    "vereinsverwaltung",
    "bibliothek",
    "kalender",
    "umfragen",
    "galerie",
    "radio",
    "archiv",
    "labor",
    "praxis",
    "kanzlei",
    "werkstatt",
    "baeckerei",
    "brauerei",
]
WRONG: dict[tuple[str, str], tuple[Status, str | None]] = {
    ("billing", "mariadb"): (
        "failed",
        "'backup'@'localhost' may not RELOAD: GRANT RELOAD ON *.* (docs/mariadb.md#what-the-account-needs) (since 20 Nov)",
    ),
    ("archiv", "files"): ("failed", "the storage is full: free space, then run it again"),
    ("radio", "files"): ("late", None),
    ("labor", "files"): ("unknown", "vault: connection refused"),
    ("brauerei", "files"): ("missing", None),
    ("brauerei", "mariadb"): ("missing", None),
    ("wiki", "files"): ("ok", "2 files could not be read: /srv/wiki/tmp/lock, /srv/wiki/tmp/socket"),
}
DAYS = 130


def fleet() -> Report:
    """Return the report."""
    rows, wanted = [], []
    records: dict[tuple[str, str], list[Record]] = {}
    for number, app in enumerate(APPS):
        chance = random.Random(app)  # noqa: S311
        sources: tuple[str, ...] = ("files",) if number % 4 == 2 else ("files", "mariadb")
        days = chance.choice((DAYS, DAYS, DAYS, 60, 20))
        for source in sources:
            storage = "vault" if number % 5 == 1 or app == "labor" else "box"
            status, _ = WRONG.get((app, source), ("ok", None))
            history = [] if status in ("missing", "unknown") else list(_history(app, source, days, chance))
            good = [record for record in history if record.outcome != "failed"]
            last = good[-1] if good else None
            proven = NOW - timedelta(days=chance.randint(2, 33), hours=5) if last and number % 7 != 3 else None
            if proven:
                history.append(Record(app, "verify", proven, "ok", source, 61.0))
            wanted.append(Expected(app, f"root@{app}.example.org", storage, source, timedelta(hours=26)))
            records.setdefault((storage, app), []).extend(history)
            rows.append(_row(wanted[-1], good, proven))
    storages = (
        StorageRow("box", "storagebox", used=952_000_000_000, size=1_100_000_000_000),
        StorageRow("vault", "ssh", error="connection refused"),
    )
    escrowed = {(row.storage, row.app): row.app != "labor" for row in rows}
    of_box = {(each.app, each.source) for each in wanted if each.storage == "box"}
    every = [record for own in records.values() for record in own]
    growth = {"box": daily_growth(of_box, every, NOW) or 0}
    records = {key: sorted(own, key=lambda record: record.time) for key, own in records.items()}
    return Report(NOW, tuple(rows), storages, tuple(wanted), records, escrowed, growth, partial(held, records))


def held(records: Mapping[tuple[str, str], Sequence[Record]], storage: str, app: str) -> Holdings:
    """Return the newest archives according to records, one of them incomplete."""
    made = [each for each in records.get((storage, app), ()) if each.action == "backup" and each.outcome != "failed"]
    listed = [
        Listed(f"{app}-{each.source}-{each.time:%Y-%m-%dT%H-%M-%S}", each.time, "ok", number % 7 == 3)
        for number, each in enumerate(reversed(made))
    ]
    newest = tuple(replace(each, status="incomplete") if number == 5 else each for number, each in enumerate(listed))
    return Holdings(newest[:12], len(made), made[0].time if made else None)


def with_copy(report: Report, app: str, storage: str) -> Report:
    """Return the report with a second copy of an app in another storage, which was away in the last three days.

    The day before, only the app's files came there.
    """
    away = report.generated - timedelta(days=3)
    files = report.generated - timedelta(days=4)
    ((key, own),) = ((key, own) for key, own in report.records.items() if key[1] == app)
    copy = [each for each in own if each.time < (away if each.source == "files" else files)]
    lost = "the storage is not there"
    copy += [Record(app, "backup", each.time, "failed", each.source, 2.0, lost) for each in own if each.time >= away]
    rows: list[Row] = []
    for row in report.apps:
        rows.append(row)
        if row.app == app and report.apps[report.apps.index(row) + 1].app != app:
            rows += [replace(each, storage=storage, status="failed", error=lost) for each in rows if each.app == app]
    assert key != (storage, app)
    return replace(report, apps=tuple(rows), records={**report.records, (storage, app): copy})


def _history(app: str, source: str, days: int, chance: random.Random) -> Iterator[Record]:
    status, error = WRONG.get((app, source), ("ok", None))
    size = 10 ** chance.uniform(8.2, 10.6)
    growth = chance.uniform(0.9995, 1.008)
    for day in range(days, -1, -1):
        time = NOW - timedelta(days=day, seconds=chance.randint(300, 3000))
        size *= growth + chance.uniform(-0.002, 0.002)
        if chance.random() < 0.03:
            size *= chance.uniform(0.85, 1.2)
        outcome: Outcome = "ok"
        if (status == "failed" and day < 2) or (day > 2 and chance.random() < 0.012):
            outcome = "failed"
        elif (status == "late" and day < 2) or chance.random() < 0.01:
            continue
        elif chance.random() < 0.01:
            outcome = "warning"
        if outcome == "failed":
            yield Record(app, "backup", time, "failed", source, 2.0, error or "the connection was lost")
            continue
        yield Record(
            app,
            "backup",
            time,
            outcome,
            source,
            size / 8e7,
            archive=f"{app}-{source}-{time:%Y-%m-%dT%H-%M-%S}",
            size=int(size),
            stored=int(size * chance.uniform(0.001, 0.012)),
        )


def _row(wanted: Expected, good: list[Record], proven: datetime | None) -> Row:
    status, error = WRONG.get((wanted.app, wanted.source), ("ok", None))
    last = good[-1] if good else None
    return Row(
        app=wanted.app,
        host=wanted.host,
        storage=wanted.storage,
        source=wanted.source,
        status=status,
        archive=last.archive if last else None,
        last=last.time if last else None,
        last_good=last.time if last else None,
        incomplete=LeftOut(0) if last else None,
        age_seconds=int((NOW - last.time).total_seconds()) if last else None,
        archives=None if status == "unknown" else len(good),
        size=last.size if last else None,
        stored=last.stored if last else None,
        duration_seconds=last.duration_seconds if last else None,
        proven=proven,
        recoverable_until=NOW - timedelta(minutes=5) if (wanted.app, wanted.source) == ("shop", "mariadb") else None,
        error=error,
    )

"""Up to when a database can be recovered is claimed only where a whole backup and an unbroken row of logs stand behind it."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from tasks.mariadb.recoverable import Moments, recoverable, recoverable_since
from tasks.records.record import Record, Records
from tasks.report.judge import Evidence, judge
from tasks.report.rows import Expected, Row
from tests.unit.report.support import NOW, ago, archive

BINLOG = Expected("shop", "root@shop.example.org", "box", "binlog", timedelta(hours=26), logs="binlog")


def log(number: int, created: int = 100, server: int = 1) -> dict[str, Any]:
    return {"name": f"binlog.{number:06}", "server": server, "created": created + number}


def base(time: datetime, position: dict[str, Any] | None, id_: str = "base") -> Record:
    details = {"position": {**position, "offset": 4, "gtid": ""}} if position else {}
    return Record("shop", "backup", time, "ok", "mariadb", duration_seconds=60, archive_id=id_, details=details)


def logs(time: datetime, chain: dict[str, Any], last: dict[str, Any], id_: str | None = "logs") -> Record:
    """Return the record of archived binary logs, or of a look that found nothing new."""
    details = {"binlog": {"chain": chain, "last": last, "state": "", "until": int(time.timestamp())}}
    name = f"shop-binlog-{time:%Y-%m-%dT%H-%M-%S}" if id_ else None
    action = "backup" if id_ else "unchanged"
    return Record("shop", action, time, "ok", "binlog", archive=name, archive_id=id_, details=details)


def until(*records: Record, listed: tuple[str, ...] = ("base", "logs")) -> tuple[datetime | None, str]:
    return recoverable(records, frozenset(listed))


def test_a_backup_and_the_logs_that_continue_it() -> None:
    first, second = base(ago(hours=5), log(3)), logs(ago(hours=1), log(1), log(9))
    assert until(first, second) == (ago(hours=1), "")
    assert until(first, second, logs(ago(minutes=5), log(1), log(9), None)) == (ago(minutes=5), "")


def test_a_backup_after_the_last_logs_is_recoverable_up_to_its_own_end() -> None:
    records = logs(ago(hours=5), log(1), log(9)), base(ago(hours=1), log(10))
    assert until(*records) == (ago(hours=1) + timedelta(seconds=60), "")


def test_logs_without_a_backup_that_they_continue_promise_nothing() -> None:
    old, new = base(ago(hours=5), log(3)), logs(ago(hours=1), log(5), log(9))
    assert until(old, new) == (
        ago(hours=5) + timedelta(seconds=60),
        "no whole backup since the binary logs start over with binlog.000005: make one",
    )
    assert until(new) == (None, "")
    assert until(base(ago(hours=5), None), new)[0] == ago(hours=5) + timedelta(seconds=60)


def test_names_that_came_again_after_a_restore_are_other_logs() -> None:
    old = base(ago(hours=5), log(3, created=100)), logs(ago(hours=4), log(1, created=100), log(9, created=100))
    again = logs(ago(hours=1), log(1, created=900), log(4, created=900))
    reached, why = until(*old, again)
    assert reached == ago(hours=4)
    assert "start over with binlog.000001" in why
    assert (
        until(*old, again, base(ago(minutes=30), log(4, created=900), "new"), listed=("base", "logs", "new"))[1] == ""
    )


def test_logs_or_backups_that_are_not_in_the_repository_count_for_nothing() -> None:
    first, second = base(ago(hours=5), log(3)), logs(ago(hours=1), log(1), log(9))
    assert until(first, second, listed=("base",))[0] == ago(hours=5) + timedelta(seconds=60)
    assert until(first, second, listed=("logs",)) == (None, "")
    older = logs(ago(hours=6), log(1), log(2), "pruned")
    assert until(older, first, second)[0] == ago(hours=1)


def test_details_of_any_kind_are_borne() -> None:
    details: tuple[dict[str, Any], ...] = (
        {"binlog": []},
        {"binlog": {"chain": log(1), "last": {"name": 5}}},
        {"binlog": {"chain": log(1), "last": log(1), "until": 10**30}},
    )
    odd = [Record("shop", "backup", ago(hours=1), "ok", "binlog", details=each) for each in details]
    assert until(base(ago(hours=5), {"name": "x", "server": 1, "created": 1}), *odd)[0] is not None


def row(archives: list[Any], *records: Record) -> Row:
    return judge(BINLOG, Evidence(archives, Records(records)), NOW)


def test_a_look_that_found_nothing_new_is_as_good_as_an_archive() -> None:
    old = archive(ago(days=3), f"shop-binlog-{ago(days=3):%Y-%m-%dT%H-%M-%S}")
    saved = logs(old.start, log(1), log(2), old.id)
    assert row([old], saved).status == "late"
    looked = row([old], saved, logs(ago(minutes=5), log(1), log(2), None))
    assert (looked.status, looked.last, looked.age_seconds, looked.error) == ("ok", ago(minutes=5), 300, None)
    assert row([], logs(ago(minutes=5), log(1), log(2), None)).status == "ok"
    assert row([]).status == "missing"


def test_a_failure_before_a_look_is_over() -> None:
    broke = Record("shop", "backup", ago(minutes=10), "failed", "binlog", error="no server answers")
    looked = logs(ago(minutes=5), log(1), log(2), None)
    assert row([], broke, looked).status == "ok"
    later = Record("shop", "backup", ago(minutes=1), "failed", "binlog", error="no server answers")
    failed = row([], broke, looked, later)
    assert (failed.status, failed.error) == ("failed", "no server answers")


def test_what_a_replica_does_not_log_ends_the_promise() -> None:
    """A former replica stands still; one that goes on has written what is in no binary log."""

    def at(record: Record, position: str) -> Record:
        values = next(iter(record.details.values()))
        return replace(record, details={next(iter(record.details)): {**values, "replicated": position}})

    first = at(base(ago(hours=5), log(3)), "5-9-1000")
    still, on = (at(logs(ago(hours=each), log(1), log(9)), f"5-9-{each}000") for each in (1, 2))
    assert until(first, still) == (ago(hours=1), "")
    reached, why = until(first, on, still)
    assert reached == ago(hours=5) + timedelta(seconds=60)
    assert "log_slave_updates" in why
    assert until(base(ago(hours=5), log(3)), still)[0] == reached


def test_another_server_id_is_named() -> None:
    old = base(ago(hours=5), log(3)), logs(ago(hours=4), log(1), log(9))
    reached, why = until(*old, logs(ago(hours=1), log(10, server=7), log(11, server=7)))
    assert (reached, "another server_id (7)" in why) == (ago(hours=4), True)


def test_the_promise_of_each_backup_names_the_record_that_it_stands_on() -> None:
    """A later row of other binary logs is no help to an older backup, and takes nothing from it."""
    old = base(ago(hours=5), log(3)), logs(ago(hours=4), log(1), log(9), None)
    again = logs(ago(hours=1), log(1, created=900), log(4, created=900))
    reach = Moments((*old, again), frozenset(("base", "logs"))).reach("base")
    assert reach is not None
    assert (reach.until, reach.saved["last"]) == (ago(hours=4), log(9))


def test_the_window_begins_after_the_last_gap() -> None:
    minute = timedelta(seconds=60)
    old = base(ago(days=9), log(1), "old"), logs(ago(days=7), log(1), log(5), "of old")
    new = base(ago(days=5), log(7), "new"), base(ago(days=2), log(9), "newest"), logs(ago(days=1), log(7), log(12))
    listed = frozenset(("old", "of old", "new", "newest", "logs"))
    assert recoverable_since([*old, *new], listed) == ago(days=5) + minute
    whole = logs(ago(days=4), log(1), log(8), "between")
    assert recoverable_since([*old, whole, *new], listed | {"between"}) == ago(days=9) + minute
    assert recoverable_since([], listed) is None

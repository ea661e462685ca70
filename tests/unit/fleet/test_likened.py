"""A backup that is unlike those before it is suspect in its outcome, its record and its archive's comment."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from tasks.fleet.recorder import likened, record_of
from tasks.records.record import Record, Records
from tasks.records.verdict import verdict_of
from tasks.run.outcome import Outcome, exit_code

BEGAN = datetime(2026, 11, 22, 3, tzinfo=UTC)
MADE = Outcome(
    "shop",
    "files",
    "ok",
    BEGAN,
    7,
    size=10**9,
    stored=10**6,
    archive="shop-files-2026-11-22T03-00-00",
    archive_id="a" * 64,
    said=("/srv/log: file changed while we backed it up",),
    details={"files": 1000},
)


def past(days: int) -> Records:
    def record(day: int) -> Record:
        return replace(record_of(MADE, "backup"), time=BEGAN - timedelta(days=day), archive_id=f"{day:064x}")

    return Records(tuple(record(day) for day in range(days, 0, -1)))


def test_a_backup_like_the_others_stays_as_it_is() -> None:
    assert likened(MADE, past(30)) == MADE


def test_a_backup_with_half_of_it_gone_is_suspect() -> None:
    odd = likened(replace(MADE, size=10**8, details={"files": 30}), past(30))

    assert odd.status == "suspect"
    assert odd.said == (
        "100 MB, where 1.0 GB are usual",
        "30 files, where 1,000 files are usual",
        "/srv/log: file changed while we backed it up",
    )
    record = record_of(odd, "backup")
    assert (record.outcome, record.error) == ("suspect", odd.said[0])
    verdict = verdict_of(Record.from_json(record.to_json()))
    assert (verdict.status, verdict.suspect) == ("suspect", odd.said[:2])
    assert exit_code([odd, MADE]) == 3
    assert exit_code([odd]) == 3  # it is there


def test_an_incomplete_backup_stays_incomplete_and_says_what_else_is_odd() -> None:
    lacking = replace(MADE, size=0, details={"left_out": {"count": 1, "first": ["/srv/a: is not there"]}}).judged

    odd = likened(lacking, past(30))

    assert odd.status == "incomplete"
    assert odd.details["suspect"] == ["0 B, where 1.0 GB are usual"]


def test_what_failed_or_made_no_archive_is_not_compared() -> None:
    for outcome in (replace(MADE, status="failed", size=0), replace(MADE, archive=None, size=0, unchanged=True)):
        assert likened(outcome, past(30)) == outcome

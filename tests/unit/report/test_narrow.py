"""The report on a narrow terminal, and of what was never or long not proven."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tasks.report.show as report_show
from tasks.errors import UsageError
from tasks.report.formats import Look
from tasks.report.rows import Report, Row
from tasks.report.table import columns, write

NOW = datetime(2026, 11, 22, 3, 10, tzinfo=UTC)
OK = Row(
    app="shop",
    host="root@shop.example.org",
    storage="box",
    source="mariadb",
    status="ok",
    last=NOW - timedelta(minutes=10),
    age_seconds=600,
    archives=17,
    size=38_100_000_000,
    stored=21_000_000,
    proven=NOW - timedelta(days=3),
    recoverable_until=NOW - timedelta(minutes=5),
)
NEVER = replace(OK, app="blog", source="files", status="missing", proven=None, last=None, recoverable_until=None)
OLD = replace(OK, app="wiki", proven=NOW - timedelta(days=31))
REPORT = Report(NOW, (OK, NEVER, OLD))


def lines(width: int) -> list[str]:
    return write(REPORT, Look(zone=ZoneInfo("Europe/Berlin"), width=width)).splitlines()[:-1]  # the last one sums up


def test_a_terminal_of_80_columns_shows_what_matters() -> None:
    shown = lines(80)
    assert max(map(len, shown)) <= 80
    assert (
        shown[0].split() == ["app", "source", "status", "last", "saved", "age", "size", "proven"]
        or "size" not in shown[0]
    )
    assert "added" not in shown[0]
    assert [line.split()[0] for line in shown[1:]] == ["blog", "shop", "wiki"]
    assert "3 days ago" in shown[2]


@given(st.integers(1, 300))
def test_no_wider_than_the_terminal_where_the_least_fits(width: int) -> None:
    shown = lines(width)
    assert len(shown) == 4
    least = max(map(len, lines(1)))
    assert max(map(len, shown)) <= max(width, least)
    assert all(word in shown[0] for word in ("app", "source", "status", "last saved", "age", "proven"))


def test_a_file_and_a_program_get_all() -> None:
    headers, _ = columns(REPORT, Look())
    assert all(header in lines(0)[0] for header in headers)


def test_what_is_not_proven_within_a_time() -> None:
    log = replace(OK, source="binlog", proven=None)
    few = report_show.unproven(replace(REPORT, apps=(*REPORT.apps, log)), timedelta(days=30))
    assert [row.app for row in few.apps] == ["blog", "wiki"]
    assert [row.app for row in report_show.unproven(REPORT, timedelta(days=2)).apps] == ["shop", "blog", "wiki"]


@pytest.mark.parametrize("text", ["30", "month", "-1d", "30D"])
def test_a_time_that_is_none_is_refused_before_anything_is_asked(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError, match="--unproven must be a whole number and a unit"):
        report_show.run(str(tmp_path / "none"), report_show.Options(unproven=text))

"""The moment that a person means."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import UsageError
from tasks.mariadb.recovery_plan import moment
from tasks.times import moment_or_none, parse_moment, shown


@pytest.fixture(autouse=True)
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()
    yield
    monkeypatch.delenv("TZ")
    time.tzset()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-22 14:03:00", datetime(2026, 11, 22, 13, 3, tzinfo=UTC)),
        ("2026-07-22T14:03", datetime(2026, 7, 22, 12, 3, tzinfo=UTC)),
        ("2026-11-22 14:03:00Z", datetime(2026, 11, 22, 14, 3, tzinfo=UTC)),
        ("2026-11-22T14:03:00-05:00", datetime(2026, 11, 22, 19, 3, tzinfo=UTC)),
        ("2026-10-25 02:30:00+0100", datetime(2026, 10, 25, 1, 30, tzinfo=UTC)),
        ("2026-10-25 02:30 CEST", datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
        ("2026-10-25 02:30:00 CET", datetime(2026, 10, 25, 1, 30, tzinfo=UTC)),
        ("2026-11-22 03:00:00 UTC", datetime(2026, 11, 22, 3, tzinfo=UTC)),
        ("2026-11-22", datetime(2026, 11, 22, 22, 59, 59, tzinfo=UTC)),
    ],
)
def test_times_are_of_this_machines_zone_unless_they_say_otherwise(text: str, expected: datetime) -> None:
    assert moment(text) == expected


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("tomorrow", "is not a time"),
        ("1795468000", "is not a time"),
        ("2026-13-22 14:03", "is not a time"),
        ("0001-01-01 00:00", "is not a time"),
        ("999999999 weeks ago", "is not a time"),
        ("3 months ago", "is not a time"),
        ("2026-11-22 14:03:00.5", "is not in whole seconds"),
        ("2026-11-22 14:03 EST", "this machine's zone is not EST then"),
        ("2026-10-25 02:30:00", "comes twice"),
        ("2026-03-29 02:30:00", "does not exist"),
    ],
)
def test_what_is_no_single_moment_is_refused(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        moment(text)
    assert caught.value.remedy


NOW = datetime(2026, 11, 22, 13, 3, 30, 5, tzinfo=UTC)  # 14:03:30 in Berlin


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("14:03", datetime(2026, 11, 22, 13, 3, tzinfo=UTC)),
        ("9:05", datetime(2026, 11, 22, 8, 5, tzinfo=UTC)),
        ("13:03Z", datetime(2026, 11, 22, 13, 3, tzinfo=UTC)),
        ("yesterday", datetime(2026, 11, 21, 22, 59, 59, tzinfo=UTC)),
        ("yesterday 14:03", datetime(2026, 11, 21, 13, 3, tzinfo=UTC)),
        ("yesterday 14:03:05+05:30", datetime(2026, 11, 21, 8, 33, 5, tzinfo=UTC)),
        ("today 00:00", datetime(2026, 11, 21, 23, tzinfo=UTC)),
        ("3 hours ago", datetime(2026, 11, 22, 10, 3, 30, tzinfo=UTC)),
        ("90m ago", datetime(2026, 11, 22, 11, 33, 30, tzinfo=UTC)),
        ("2 days ago", datetime(2026, 11, 20, 13, 3, 30, tzinfo=UTC)),
    ],
)
def test_moments_are_reckoned_from_now(text: str, expected: datetime) -> None:
    assert parse_moment(text, "--at", now=NOW) == expected


def test_a_time_of_today_that_is_still_to_come_is_refused() -> None:
    with pytest.raises(UsageError, match="is still to come today") as caught:
        parse_moment("14:04", "--at", now=NOW)
    assert caught.value.remedy == "write --at 'yesterday 14:04'"


@given(
    st.one_of(st.text(max_size=40), st.from_regex(r"(today|yesterday|\d{4}-\d\d-\d\d)? ?\d\d?:\d\d(:\d\d)? ?\S{0,6}"))
)
def test_any_text_is_a_moment_or_a_wrong_usage_with_a_remedy(text: str) -> None:
    try:
        found = moment_or_none(text)
    except UsageError:
        found = None
    if found is not None:
        assert found.tzinfo is not None
        return
    with pytest.raises(UsageError) as caught:
        parse_moment(text, "--at")
    assert caught.value.remedy


@given(st.integers(0, 3_786_912_000))
def test_what_is_shown_is_read_back(seconds: int) -> None:
    when = datetime.fromtimestamp(seconds, UTC)
    assert parse_moment(shown(when), "--at") == when


def test_a_moment_is_shown_with_its_zone() -> None:
    assert shown(datetime(2026, 7, 22, 12, 3, tzinfo=UTC)) == "2026-07-22 14:03:00 CEST"


def test_the_option_that_was_meant_is_named() -> None:
    with pytest.raises(UsageError, match=r"^--before '2026-11-22' is a whole day"):
        parse_moment("2026-11-22", "--before", days=False)

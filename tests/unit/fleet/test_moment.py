"""The moment that a person means."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from tasks.errors import UsageError
from tasks.mariadb.recovery_plan import moment
from tasks.times import parse_moment, shown


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
    ],
)
def test_times_are_of_this_machines_zone_unless_they_say_otherwise(text: str, expected: datetime) -> None:
    assert moment(text) == expected


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("yesterday", "is no time"),
        ("1795468000", "is no time"),
        ("2026-11-22", "no time in whole seconds"),
        ("2026-11-22 14:03:00.5", "no time in whole seconds"),
        ("2026-10-25 02:30:00", "comes twice"),
        ("2026-03-29 02:30:00", "does not exist"),
    ],
)
def test_what_is_no_single_moment_is_refused(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        moment(text)
    assert caught.value.remedy


def test_a_moment_is_shown_with_its_zone() -> None:
    assert shown(datetime(2026, 7, 22, 12, 3, tzinfo=UTC)) == "2026-07-22 14:03:00 CEST"


def test_the_option_that_was_meant_is_named() -> None:
    with pytest.raises(UsageError, match=r"^--before '2026-11-22' is no time"):
        parse_moment("2026-11-22", "--before")

"""Ages and moments in words."""

import time
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.times import age, ago, day, moment, utc

NOW = datetime(2026, 11, 22, 3, 10, tzinfo=UTC)
SECONDS = {
    "s": 1,
    "min": 60,
    "h": 3600,
    "days": 86400,
    "months": 30.44 * 86400,
    "year": 365.25 * 86400,
    "years": 365.25 * 86400,
}
MOMENTS = st.datetimes(timezones=st.just(UTC))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (600, "10 min"),
        (3600, "1 h"),
        (26 * 3600, "26 h"),
        (48 * 3600 - 1, "47 h"),
        (48 * 3600, "2 days"),
        (59 * 86400, "59 days"),
        (92 * 86400, "3 months"),
        (731 * 86400, "2 years"),
        (-5, "0 s"),
    ],
)
def test_ages(seconds: float, text: str) -> None:
    assert age(seconds) == text


@given(st.floats(0, 1e11))
def test_an_age_is_what_has_passed_in_whole_units(seconds: float) -> None:
    number, unit = age(seconds).split()
    assert int(number) * SECONDS[unit] <= seconds < (int(number) + 1) * SECONDS[unit]
    assert number != "0" or unit == "s"


@given(st.floats(0, 1e11), st.floats(0, 1e11))
def test_the_older_never_reads_as_younger(one: float, other: float) -> None:
    def least(seconds: float) -> float:
        number, unit = age(seconds).split()
        return int(number) * SECONDS[unit]

    assert (least(one) <= least(other)) or one > other


def test_ago() -> None:
    assert ago(NOW - timedelta(days=2), NOW) == "2 days ago"
    assert ago(None, NOW) == "never"


@given(MOMENTS, MOMENTS, st.sampled_from(["UTC", "Europe/Berlin", "America/St_Johns", "Pacific/Kiritimati"]))
def test_a_moment_can_always_be_told_with_its_zone(when: datetime, now: datetime, zone: str) -> None:
    text = moment(when, now, ZoneInfo(zone))

    assert len(text.split()) in (4, 5)  # with the year when it is another one


@pytest.mark.parametrize("name", ["America/St_Johns", "Pacific/Kiritimati"])
def test_the_first_and_the_last_moment_of_all_can_be_told(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("TZ", name)
    time.tzset()
    try:
        for when in (datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, tzinfo=UTC)):
            for zone in (ZoneInfo(name), None):
                assert moment(when, NOW, zone).startswith(("1 Jan", "31 Dec"))
    finally:
        monkeypatch.undo()
        time.tzset()


def test_moments_name_their_zone() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    assert moment(NOW, NOW, berlin) == "22 Nov 04:10 CET"
    assert moment(datetime(2026, 7, 1, 12, tzinfo=UTC), NOW, berlin) == "1 Jul 14:00 CEST"
    assert moment(datetime(2025, 12, 31, 23, 30, tzinfo=UTC), NOW, berlin) == "1 Jan 00:30 CET"
    assert moment(NOW, NOW, UTC) == "22 Nov 03:10 UTC"
    assert day(datetime(2025, 12, 31, tzinfo=UTC), NOW) == "31 Dec 2025"


def test_the_machines_own_zone_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert moment(NOW, NOW) == "22 Nov 12:10 JST"
    finally:
        monkeypatch.undo()
        time.tzset()


@given(MOMENTS)
def test_times_for_machines_are_utc_in_whole_seconds(when: datetime) -> None:
    assert datetime.strptime(utc(when), "%Y-%m-%dT%H:%M:%S%z") == when.replace(microsecond=0)

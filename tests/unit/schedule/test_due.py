"""What is due: each moment once, whatever the clocks do, and nobody is forgotten or done twice."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.inventory.schedule import DAYS, WHEN, When, read_when
from tasks.schedule.due import apps_due, newest, upcoming

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = st.sampled_from(["Europe/Berlin", "America/St_Johns", "Pacific/Apia", "UTC", "Australia/Lord_Howe"]).map(
    ZoneInfo
)
MOMENTS = st.integers(1_577_836_800, 1_893_456_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
TIMES = st.times().map(lambda at: f"{at:%H:%M}")
SOME_DAYS = st.lists(st.sampled_from(DAYS), min_size=1, unique=True).map(",".join)
SCHEDULES = st.one_of(TIMES, st.tuples(SOME_DAYS, TIMES).map(" ".join)).map(read_when)


@given(SCHEDULES, MOMENTS, ZONES)
def test_the_newest_and_the_next_leave_nothing_between(when: When, now: datetime, zone: ZoneInfo) -> None:
    before, after = newest(when, now, zone), upcoming(when, now, zone)
    assert before is not None
    assert after is not None
    assert before <= now < after
    assert upcoming(when, before, zone) == after
    assert newest(when, after, zone) == after
    assert after - before <= timedelta(days=9)


@given(TIMES, st.sampled_from(["Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe"]).map(ZoneInfo))
def test_every_day_of_a_year_has_its_moment_once(at: str, zone: ZoneInfo) -> None:
    when = read_when(at)
    now, end = datetime(2026, 1, 1, tzinfo=zone).astimezone(UTC), datetime(2027, 1, 1, tzinfo=zone)
    days = []
    moment = upcoming(when, now, zone)
    while moment is not None and moment < end:
        days.append(moment.astimezone(zone).date())
        moment = upcoming(when, moment, zone)
    assert len(days) - 1 <= len(set(days)) <= 365
    assert len(days) in (364, 365)


@pytest.mark.parametrize(
    ("at", "day", "moment"),
    [
        ("02:30", (2027, 3, 28), "2027-03-28T01:30"),  # clocks go from 2 to 3: it is 3:30 then
        ("02:30", (2026, 10, 25), "2026-10-25T00:30"),  # comes twice: the first
        ("02:30", (2026, 11, 22), "2026-11-22T01:30"),
    ],
)
def test_when_clocks_change(at: str, day: tuple[int, int, int], moment: str) -> None:
    noon = datetime(*day, 12, tzinfo=BERLIN)
    assert newest(read_when(at), noon, BERLIN) == datetime.fromisoformat(moment).replace(tzinfo=UTC)


@given(SCHEDULES, MOMENTS, st.lists(st.booleans(), min_size=1, max_size=6))
def test_what_was_done_is_not_due_again_and_what_failed_is(when: When, now: datetime, well: list[bool]) -> None:
    last: dict[str, datetime | None] = {f"app{number}": None for number in range(len(well))}
    due = apps_due(when, last, now, BERLIN)
    assert due == sorted(last)
    after = {app: now if good else None for app, good in zip(sorted(last), well, strict=True)}
    soon = now + timedelta(seconds=1)
    next_time = upcoming(when, now, BERLIN)
    if next_time is not None and next_time > soon:
        assert apps_due(when, after, soon, BERLIN) == [app for app in sorted(last) if after[app] is None]


@given(st.integers(1, 30), st.integers(2, 14), st.sets(st.integers(0, 60), max_size=10))
def test_all_have_their_turn_in_parts(apps: int, parts: int, missed: set[int]) -> None:
    when = read_when(f"1/{parts} daily")
    last: dict[str, datetime | None] = {f"app{number}": None for number in range(apps)}
    turns = dict.fromkeys(last, 0)
    nights = 0
    start = datetime(2026, 11, 1, 3, tzinfo=UTC)
    for night in range(3 * parts + len(missed)):
        if night in missed:
            continue
        nights += 1
        now = start + timedelta(days=night)
        due = apps_due(when, last, now, UTC)
        assert len(due) <= -(-apps // parts)
        for app in due:
            last[app] = now + timedelta(minutes=1)
            turns[app] += 1
        assert not apps_due(when, last, now + timedelta(minutes=5), UTC) or len(due) < -(-apps // parts)
        if nights == parts:
            assert all(turns.values()), turns
    assert max(turns.values()) - min(turns.values()) <= 1 + len(missed)


def test_never_is_never() -> None:
    now = datetime(2026, 11, 28, tzinfo=UTC)
    never = read_when("never")
    assert (newest(never, now, UTC), upcoming(never, now, UTC)) == (None, None)
    assert apps_due(never, {"shop": None}, now, UTC) == []


@pytest.mark.parametrize(
    "text",
    ["2:30", "24:00", "02:60", "sunday 05:00", "sun,sun 5", "1/1 daily", "2/7 daily", "1/7", "", " ", "02:30 sun", "daily,sun",
     "never 02:30", "sun\n05:00", "02:30\n", "sun  05:00", "1/100 daily", 150, None, ["sun"], True],
)  # fmt: skip
def test_what_is_no_time_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="must be days and a time"):
        read_when(text)


@given(st.from_regex(WHEN, fullmatch=True))
def test_what_the_schema_allows_is_read(text: str) -> None:
    when = read_when(text)
    assert bool(when.days) == (text != "never")

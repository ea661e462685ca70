"""The limit of uploads by the hour: which rate holds at which minute, across midnight, and in the operator's zone."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.inventory.upload import DAY, Upload, read_upload

MINUTES = st.integers(0, DAY - 1)
RATES = {"5MB/s": 5_000_000, "500kB/s": 500_000, "1.5GB/s": 1_500_000_000, "none": None}


def clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def test_one_rate_holds_always() -> None:
    assert read_upload("20MB/s") == Upload(20_000_000)
    assert read_upload("20MB/s").at(time(3)) == 20_000_000
    assert read_upload({"limit": "none"}).at(time(3)) is None


@given(begin=MINUTES, length=st.integers(1, DAY - 1), after=MINUTES, rate=st.sampled_from(sorted(RATES)))
def test_hours_hold_from_their_begin_up_to_their_end(begin: int, length: int, after: int, rate: str) -> None:
    """A model of its own: minutes are counted from the begin, round the clock."""
    end = (begin + length) % DAY
    limit = read_upload({"limit": "20MB/s", f"{clock(begin)}-{clock(end)}": rate})
    minute = (begin + after) % DAY
    assert limit.at(time(minute // 60, minute % 60)) == (RATES[rate] if after < length else 20_000_000)


@given(cuts=st.lists(MINUTES, min_size=2, max_size=6, unique=True), minute=MINUTES)
def test_neighbours_share_no_minute_and_leave_none_out(cuts: list[int], minute: int) -> None:
    cuts.sort()
    pairs = list(zip(cuts, [*cuts[1:], cuts[0]], strict=True))
    rates = [f"{number + 1}MB/s" for number in range(len(pairs))]
    limit = read_upload({f"{clock(a)}-{clock(b)}": rate for (a, b), rate in zip(pairs, rates, strict=True)})
    moment = time(minute // 60, minute % 60)
    assert sum(part.holds(minute) for part in limit.hours) == 1
    assert limit.at(moment) is not None
    assert limit.part(moment)


@given(begin=MINUTES, length=st.integers(2, DAY - 1), inside=st.integers(0, DAY), more=st.integers(1, 60))
def test_hours_that_overlap_are_refused(begin: int, length: int, inside: int, more: int) -> None:
    start = (begin + inside % length) % DAY
    values = {f"{clock(begin)}-{clock((begin + length) % DAY)}": "5MB/s"}
    other = f"{clock(start)}-{clock((start + more) % DAY)}"
    if other in values:
        return
    with pytest.raises(ValueError, match="overlaps"):
        read_upload({**values, other: "6MB/s"})


@given(
    moment=st.integers(0, 2_000_000_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),
    zone=st.sampled_from(["Asia/Kathmandu", "America/St_Johns", "Pacific/Apia", "UTC"]),
)
def test_the_hours_are_those_of_the_clock_on_the_wall(moment: datetime, zone: str) -> None:
    limit = read_upload({"limit": "20MB/s", "22:00-06:00": "none"})
    there = moment.astimezone(ZoneInfo(zone))
    assert (limit.at(there.time()) is None) == (there.hour >= 22 or there.hour < 6)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"])
def test_a_changed_clock_leaves_no_gap(zone: str) -> None:
    limit = read_upload({"limit": "20MB/s", "01:30-02:30": "5MB/s"})
    for day in (
        datetime(2026, 3, 29, tzinfo=UTC),
        datetime(2026, 10, 25, tzinfo=UTC),
        datetime(2026, 3, 8, tzinfo=UTC),
    ):
        for minutes in range(-DAY, DAY, 7):
            there = (day + timedelta(minutes=minutes)).astimezone(ZoneInfo(zone)).time()
            assert (limit.at(there) == 5_000_000) == (time(1, 30) <= there.replace(tzinfo=None) < time(2, 30))


def test_the_end_of_the_day_is_written_as_24_or_0() -> None:
    for end in ("24:00", "00:00"):
        limit = read_upload({f"20:00-{end}": "5MB/s"})
        assert [limit.at(time(19, 59)), limit.at(time(20)), limit.at(time(23, 59)), limit.at(time(0))] == [
            None,
            5_000_000,
            5_000_000,
            None,
        ]


@pytest.mark.parametrize(
    "value",
    [20, "20", "20MB", "20Mb/s", "0MB/s", "-5MB/s", "1kB/s", "", None, [], {}, {"8-18": "5MB/s"}, {"08:00-18:00": 5},
     {"08:00-08:00": "5MB/s"}, {"24:00-08:00": "5MB/s"}, {"08:60-18:00": "5MB/s"}, {"limits": "5MB/s"}],
)  # fmt: skip
def test_what_is_no_limit_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"must be|has hours"):
        read_upload(value)

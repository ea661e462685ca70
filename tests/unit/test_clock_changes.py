"""Clocks that are changed, leap seconds, and zones that name themselves UTC and are not."""

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.borg.client.archive_name import ArchiveName
from tasks.borg.client.list import Archive
from tasks.borg.retention import plan
from tasks.errors import UsageError
from tasks.inventory.models import KeepRules
from tasks.records.record import Record, Records
from tasks.times import moment, parse_moment, shown

BACK = datetime(2026, 10, 25, 1, tzinfo=UTC)  # in Berlin 03:00 CEST becomes 02:00 CET
FORWARD = datetime(2026, 3, 29, 1, tzinfo=UTC)
ZONES = [
    "Europe/Berlin",
    "America/St_Johns",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "UTC",
    "UTC-5",
    "GMT+3",
    "<-03>3",
]
Zone = Callable[[str], None]


@pytest.fixture
def zone() -> Iterator[Zone]:
    """Return what sets this machine's zone."""
    with pytest.MonkeyPatch.context() as patch:

        def be(name: str) -> None:
            patch.setenv("TZ", name)
            time.tzset()

        yield be
    time.tzset()


@pytest.mark.parametrize("name", ZONES)
def test_a_moment_that_is_shown_means_the_same_when_it_is_typed_again(zone: Zone, name: str) -> None:
    zone(name)

    @given(st.sampled_from([BACK, FORWARD]), st.integers(-90_000, 90_000))
    def typed_again(around: datetime, seconds: int) -> None:
        when = around + timedelta(seconds=seconds)
        assert parse_moment(shown(when), "--at") == when

    typed_again()


def test_a_zone_that_names_itself_utc_and_is_not_is_shown_by_its_offset(zone: Zone) -> None:
    zone("UTC-5")
    assert shown(BACK) == "2026-10-25 06:00:00 +0500"
    assert moment(BACK, BACK) == "25 Oct 06:00 +0500"
    assert parse_moment("2026-10-25 01:00 UTC", "--at") == BACK


def hourly(around: datetime) -> list[Archive]:
    """Return the archives of a day before and after a moment, one at half past each hour."""
    starts = [around + timedelta(hours=hour, minutes=30) for hour in range(-24, 24)]
    return [Archive(str(ArchiveName("shop", "files", start)), str(start), start) for start in starts]


@pytest.mark.parametrize("around", [BACK, FORWARD])
@pytest.mark.parametrize("keep", [KeepRules(hourly=30), KeepRules(daily=2), KeepRules(within=timedelta(hours=20))])
def test_what_is_kept_is_the_same_in_every_zone(zone: Zone, around: datetime, keep: KeepRules) -> None:
    archives, found = hourly(around), set()
    assert len({each.name for each in archives}) == len(archives)
    for name in ZONES:
        zone(name)
        found.add(plan(archives, keep, around + timedelta(days=1)).kept)
    (kept,) = found
    assert len(kept) == {30: 30, 0: 2}[keep.hourly] if keep.within is None else len(kept) == 20


def test_half_past_two_of_the_night_when_it_comes_twice_is_either_archive_by_what_is_offered(zone: Zone) -> None:
    zone("Europe/Berlin")
    now = BACK + timedelta(hours=5)
    for text in ("02:30", "2026-10-25 02:30"):
        with pytest.raises(UsageError, match="comes twice") as refused:
            parse_moment(text, "--at", now=now)
        ways = refused.value.remedy.removeprefix("say which: ").split(" or ")
        assert [parse_moment(way, "--at", now=now) for way in ways] == [
            BACK - timedelta(minutes=30),
            BACK.replace(minute=30),
        ]


def test_half_past_two_of_the_night_that_has_none_is_refused_with_what_is_near(zone: Zone) -> None:
    zone("Europe/Berlin")
    with pytest.raises(UsageError, match="does not exist") as refused:
        parse_moment("02:30", "--at", now=FORWARD + timedelta(hours=5))
    ways = refused.value.remedy.removeprefix("say which: ").split(" or ")
    assert {parse_moment(way, "--at", now=FORWARD + timedelta(hours=5)) for way in ways} == {
        FORWARD + timedelta(minutes=30),
        FORWARD - timedelta(minutes=30),
    }


def test_a_record_of_a_leap_second_is_named_and_hides_no_other() -> None:
    written = Record("shop", "backup", BACK, "ok", source="files", archive_id="1").to_json()
    leap = json.dumps({**json.loads(written), "time": "2026-12-31T23:59:60Z"})
    found = Records.parse({"2026-10-25T01-00-00-backup-files-a.json": written.encode(), "leap.json": leap.encode()})
    assert ([each.archive_id for each in found.all], found.broken) == (["1"], ("leap.json",))
    assert Record.from_name("shop", "2026-12-31T23-59-60-backup-files-0123456789abcdef.json") is None

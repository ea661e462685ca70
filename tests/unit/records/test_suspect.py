"""Whether a backup looks like those before it: what is suspect, and what is usual."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.records.record import Record, Records
from tasks.records.suspect import COMPRESSED, unlike
from tasks.records.verdict import ACCEPT, Verdict

BEGAN = datetime(2026, 9, 1, 3, tzinfo=UTC)
GB, MB = 10**9, 10**6


def backup(day: float, size: int | None = 10 * GB, stored: int | None = 20 * MB, **details: Any) -> Record:
    values = {"files": 20_000, COMPRESSED: int((size or 0) * 0.4)} | details
    time = BEGAN + timedelta(days=day)
    id_ = f"{int(day * 100):064x}"
    return Record("shop", "backup", time, "ok", "files", size=size, stored=stored, archive_id=id_, details=values)


def days(count: int, **values: Any) -> list[Record]:
    return [backup(day, **values) for day in range(count)]


def odd(made: Record, past: Iterable[Record]) -> Sequence[str]:
    return unlike(made, Records(tuple(past)))


def accept(of: Record, day: float) -> Record:
    time = BEGAN + timedelta(days=day)
    return Record("shop", ACCEPT, time, "ok", "files", archive_id=of.archive_id, details={"reason": "moved"})


def test_a_night_like_the_others_is_usual() -> None:
    assert odd(backup(30, size=11 * GB, stored=90 * MB), days(30)) == ()


def test_half_of_the_bytes_or_of_the_files_or_of_the_tables_gone() -> None:
    past = days(30, tables=40)

    assert odd(backup(30, size=5 * GB), past) == ("5.0 GB, where 10.0 GB are usual",)
    assert odd(backup(30, files=4), past) == ("4 files, where 20,000 files are usual",)
    assert odd(backup(30, tables=["a", "b"]), past) == ("2 tables, where 40 tables are usual",)
    assert odd(backup(30, size=0, files=0), past)[0] == "0 B, where 10.0 GB are usual"


def test_half_of_the_tables_of_a_server_gone() -> None:
    """A server's record has their number, names and more."""
    past = days(30, tables={"count": 40, "schemas": {"shop": 40}, "names": ["shop/a"]})
    now = {"count": 12, "schemas": {"shop": 12}, "names": ["shop/a"], "discarded": ["shop/b"]}
    assert odd(backup(30, tables=now), past) == ("12 tables, where 40 tables are usual",)


def test_half_replaced_by_zeros() -> None:
    (said,) = odd(backup(30, compressed=int(2.1 * GB)), days(30))
    assert said == "2.1 GB compressed, where 4.0 GB compressed are usual"
    assert odd(backup(30, compressed=int(2.6 * GB)), days(30)) == ()
    assert len(odd(backup(30, size=4 * GB, compressed=GB), days(30))) == 1  # said once


def test_the_smallest_app_encrypted() -> None:
    past = [backup(day, size=20_000 + 9000 * (day % 5), stored=5000, compressed=12_000) for day in range(9)]

    (said,) = odd(backup(9, size=40_000, stored=41_000, compressed=40_100), past)

    assert (
        said
        == "nearly all is new, and compresses to 100 % of its size, before to 60 % at most: encrypted by an intruder?"
    )
    assert odd(backup(9, size=40_000, stored=41_000, compressed=21_000), past) == ()  # new, and compresses as before
    assert odd(backup(9, size=40_000, stored=9000, compressed=40_100), past) == ()  # little is new


def test_everything_encrypted() -> None:
    (replaced, incompressible) = odd(backup(30, stored=10 * GB, compressed=10 * GB), days(30))

    assert replaced == "10.0 GB of 10.0 GB replaced, where a backup adds 20 MB as a rule: encrypted by an intruder?"
    assert incompressible == "compresses to 100 % of its size, and did to 40 %: encrypted by an intruder?"


def test_everything_encrypted_that_never_compressed() -> None:
    photos = days(30, compressed=int(9.8 * GB))

    assert len(odd(backup(30, stored=10 * GB, compressed=10 * GB), photos)) == 1


def test_a_release_that_replaces_everything_and_compresses_as_before_is_usual() -> None:
    assert odd(backup(30, stored=4 * GB), days(30)) == ()


def test_half_gone_soon_after_a_release_doubled_it() -> None:
    past = [*days(30), *(backup(30 + day, size=20 * GB) for day in range(3))]

    assert odd(backup(33, size=10 * GB), past) == ("10.0 GB, where 20.0 GB are usual",)


def test_a_dump_that_is_new_each_night_hides_no_encryption() -> None:
    past = [backup(day, stored=2 * GB, compressed=9 * GB) for day in range(30)]  # a tenth of it would be usual

    assert odd(backup(30, stored=10 * GB, compressed=10 * GB), past) != ()
    assert odd(backup(30, stored=3 * GB, compressed=9 * GB), past) == ()


def test_what_borg_notes_of_files_is_no_replaced_data() -> None:
    past = days(30, size=800, stored=690, files=2)

    assert odd(backup(30, size=800, stored=2400, files=2), past) == ()


def test_growth_is_no_replacement() -> None:
    assert odd(backup(30, size=20 * GB, stored=10 * GB, compressed=14 * GB), days(30)) == ()


def test_one_part_of_twenty_more_is_encrypted_each_night() -> None:
    past = days(30)
    for night in range(20):
        part = (night + 1) / 20
        made = backup(30 + night, stored=GB // 2, compressed=int(10 * GB * (0.4 + 0.6 * part)))
        if odd(made, past):
            break
        past.append(made)
    assert night <= 4


def test_a_loss_is_seen_from_the_second_backup_on_and_replaced_data_from_the_fourth() -> None:
    assert odd(backup(1, size=4 * GB), days(1)) != ()
    assert odd(backup(2, stored=10 * GB, compressed=10 * GB), days(2)) == ()
    assert odd(backup(3, stored=10 * GB, compressed=10 * GB), days(3)) != ()


def test_a_half_is_the_limit_until_two_weeks_of_backups_are_known() -> None:
    assert odd(backup(7, size=int(4.9 * GB)), days(7)) != ()
    assert odd(backup(7, size=int(5.5 * GB)), days(7)) == ()
    assert odd(backup(15, size=int(5.5 * GB)), days(15)) != ()


def test_what_happened_before_is_usual() -> None:
    """A log that is most of an app and is rotated each week."""
    sizes = [(day % 7 + 1) * 100 * MB for day in range(60)]
    past = [backup(day, size=size, stored=60 * MB) for day, size in enumerate(sizes)]

    assert [day for day in range(8, 60) if odd(past[day], past[:day])] == []
    assert odd(backup(60, size=MB), past) != ()


def test_archives_that_are_not_good_do_not_become_usual() -> None:
    lost = backup(30, size=5 * GB)
    past = days(30)
    for night in range(30, 60):
        made = replace(lost, time=BEGAN + timedelta(days=night), archive_id=f"{night:064x}")
        assert odd(made, past)
        past.append(replace(made, outcome="suspect", details={**made.details, **Verdict(suspect=("gone",)).details}))


def test_an_accepted_archive_is_the_new_usual() -> None:
    shrunk = replace(backup(30, size=4 * GB, files=5000), outcome="suspect", details={"suspect": ["4.0 GB"]})
    past = [*days(30), shrunk, accept(shrunk, 30.5)]

    assert odd(backup(31, size=4 * GB, files=5000), past) == ()
    assert odd(backup(31, size=GB, files=5000), past) == ("1.0 GB, where 4.0 GB are usual",)
    assert odd(backup(31, size=4 * GB, files=1000), days(30)) != ()


def test_binary_logs_are_not_judged() -> None:
    past = [replace(each, source="binlog") for each in days(30)]

    assert odd(replace(backup(30, size=0), source="binlog"), past) == ()


def test_other_sources_and_later_records_say_nothing() -> None:
    others = [replace(each, source="mariadb") for each in days(30)]
    later = [replace(each, time=each.time + timedelta(days=100)) for each in days(30)]

    assert odd(backup(30, size=0), [*others, *later]) == ()


def test_small_apps_without_a_steady_size_are_judged_only_by_losses_of_nearly_everything() -> None:
    chance = random.Random(1)  # noqa: S311

    def small(day: int) -> Record:
        size = chance.randint(20_000, 90_000)
        return backup(day, size=size, stored=size, files=chance.randint(3, 9), compressed=size // 2)

    past = [small(day) for day in range(90)]
    steady = days(30, size=200_000, stored=100, files=12)
    assert odd(backup(30, size=100_000, stored=100, files=6), steady)[0] == "100 kB, where 200 kB are usual"
    assert [day for day in range(8, 90) if odd(past[day], past[:day])] == []
    assert odd(backup(90, size=0, files=0), past) != ()


@pytest.mark.parametrize("lacks", ["stored", COMPRESSED, "files"])
def test_what_was_not_recorded_is_not_judged(lacks: str) -> None:
    values: dict[str, Any] = {lacks: None}
    past = days(30, **values)

    assert odd(backup(30, **values), past) == ()
    assert odd(backup(30, size=GB, **values), past) != ()


NUMBER = st.none() | st.integers(-5, 2**64) | st.text(max_size=3) | st.lists(st.none(), max_size=3) | st.booleans()


@given(st.lists(st.tuples(NUMBER, NUMBER, NUMBER, NUMBER), min_size=1, max_size=20))
def test_whatever_records_hold_nothing_is_raised(rows: list[tuple[Any, Any, Any, Any]]) -> None:
    records = [
        backup(day, size, stored, files=files, compressed=compressed)
        if isinstance(size, int)
        else replace(backup(day), size=size, stored=stored, details={"files": files, "tables": compressed})
        for day, (size, stored, files, compressed) in enumerate(rows)
    ]

    for sentence in odd(records[-1], records[:-1]):
        assert sentence.isprintable()


@given(
    level=st.integers(10 * MB, 100 * GB),
    noise=st.lists(st.floats(0.9, 1.1), min_size=15, max_size=40),
    left=st.floats(0, 0.45),
)
def test_a_steady_app_is_never_suspect_and_its_loss_always(level: int, noise: list[float], left: float) -> None:
    past = [backup(day, size=int(level * each), compressed=int(level * each * 0.5)) for day, each in enumerate(noise)]

    assert [day for day in range(8, len(past)) if odd(past[day], past[:day])] == []
    assert odd(backup(len(past), size=int(level * left), compressed=int(level * left * 0.5)), past) != ()

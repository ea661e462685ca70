"""Archives of other names: their series, what is recorded of them, and what `keep.other` drops."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.borg.anomalies import doubts, unrecorded
from tasks.borg.client.list import Archive
from tasks.borg.others import described, series
from tasks.borg.refusals import refusals
from tasks.borg.removal import to_prune, vouched
from tasks.inventory.models import Keep, KeepRules
from tasks.records.ledger import ADOPTED, SERIES, WITHDRAWN, ledger
from tasks.records.record import Record, Records
from tests.unit.borg import test_guard as guard

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


def archive(name: str, days: int = 0, mark: str = "") -> Archive:
    return Archive(name, (mark or name).encode().hex().ljust(64, "0")[:64], NOW - timedelta(days=days))


@pytest.mark.parametrize(
    ("name", "common"),
    [
        ("web1-2026-11-22T03:00:00.123456", "web1-*"),
        ("web1-2026-11-22", "web1-*"),
        ("web1-20261122_0300", "web1-*"),
        ("2026-11-22_web1", "*_web1"),
        ("web2-2026-11-22T03:00:00", "web2-*"),
        ("db-2026-11-22 03:00-mysql", "db-*-mysql"),
        ("before-upgrade", "before-upgrade"),
        ("web1-1732244400", "web1-1732244400"),
        ("v2024.1", "v2024.1"),
    ],
)
def test_a_series_is_the_name_without_its_date(name: str, common: str) -> None:
    assert series(name) == common


@given(st.text(st.characters(exclude_categories=["C", "Nd"]), min_size=1, max_size=12), st.dates())
def test_names_that_differ_beside_the_date_are_never_of_one_series(host: str, day: date) -> None:
    one, other = (f"{host}{letter}_{day.isoformat()}T03:00:00" for letter in ("a", "b"))
    assert series(one) != series(other)


def test_series_are_told_with_their_days() -> None:
    found = [archive("web1-2026-11-01", 27), archive("web1-2026-11-20", 8), archive("one", 3)]
    assert described(found) == "web1-* (2, 2026-11-01 to 2026-11-20), one (1 of 2026-11-25)"
    assert described([]) == ""


def record(action: str, days: int = 0, **details: object) -> Record:
    return Record("shop", action, NOW - timedelta(days=days), "ok", details=details)


def told(records: Records, *archives: Archive) -> list[str]:
    return [doubt.kind for doubt in doubts(archives, None, ledger(records, NOW), NOW)]


def test_what_was_adopted_stays_so_until_it_is_removed() -> None:
    first = record("init", 9, known_ids=["a", "b"], **{ADOPTED: ["a", "b"]})
    assert ledger(Records((first,)), NOW).adopted == {"a", "b"}
    assert ledger(Records((first, record("prune", 1, removed_ids=["b"]))), NOW).adopted == {"a"}


def test_an_accepted_series_is_no_alarm_and_others_are() -> None:
    first, accepted = record("init", 9, known_ids=["x"]), record("accept", 5, **{SERIES: ["web1-*"]})
    foreign, forged, own = (
        archive("web1-2026-11-28"),
        archive("web2-2026-11-28"),
        archive("shop-files-2026-11-28T12-00-00"),
    )
    known = archive("x", mark="x")
    first = replace(first, details={"known_ids": [known.id]})
    assert told(Records((first,)), known, foreign) == ["unknown"]
    records = Records((first, accepted))
    assert told(records, known, foreign) == []
    assert foreign.id not in ledger(records, NOW).made
    assert told(records, known, foreign, forged) == ["unknown"]
    assert told(records, known, own) == ["unknown"]
    every = Records((first, record("accept", 5, **{SERIES: ["*", "shop-*"]})))
    assert told(every, known, own) == ["unknown"], "a name of our own form is never covered"
    assert told(Records((*records.all, record("accept", 1, **{WITHDRAWN: ["web1-*"]}))), known, foreign) == ["unknown"]


WEB = tuple(Archive(f"web{host}-2026-0{month}-01", f"{host}{month}", NOW - timedelta(days=300 - 30 * month + host))
            for host in (1, 2) for month in (1, 2, 3))  # fmt: skip
LATER = Archive("web1-2026-11-27", "later", NOW - timedelta(days=1))
ADOPTION = guard.record(
    "init", 9000, details={"known_ids": [each.id for each in WEB], ADOPTED: [each.id for each in WEB]}
)
ACCEPTANCE = guard.record("accept", 10, details={SERIES: ["web1-*"]})


def pruned(keep: Keep, *more: Record, archives: tuple[Archive, ...] = (*guard.ALL, *WEB)) -> set[str]:
    found = guard.evidence(archives, (ADOPTION, *guard.RECORDS, *more))
    return set(to_prune(replace(found, app=found.app.model_copy(update={"keep": keep}))).ids)


def test_without_a_rule_of_their_own_they_all_stay() -> None:
    assert not pruned(Keep(last=9)) & {each.id for each in WEB}


def test_each_series_is_pruned_for_itself_and_what_a_drill_proved_stays() -> None:
    keep = Keep(last=9, other=KeepRules(last=1))
    assert pruned(keep) == {"11", "12", "21", "22"}
    proof = guard.record("verify", 2, source="files", archive=WEB[0].name, archive_id=WEB[0].id)
    assert pruned(keep, proof) == {"12", "21", "22"}


def test_what_came_later_takes_no_place_and_is_never_pruned() -> None:
    keep = Keep(last=9, other=KeepRules(last=1))
    assert pruned(keep, ACCEPTANCE, archives=(*guard.ALL, *WEB, LATER)) == {"11", "12", "21", "22"}
    found = guard.evidence((*guard.ALL, *WEB, LATER), (ADOPTION, *guard.RECORDS, ACCEPTANCE))
    assert LATER.id not in found.good
    assert (
        LATER.id
        not in vouched(found, {each.id for each in unrecorded(found.listing.archives, found.known)})["known_ids"]
    )


def test_a_drill_of_another_name_neither_ends_nor_makes_a_failed_one() -> None:
    failed = guard.record(
        "verify", 5, source="mariadb", archive_id=guard.DATABASE.id, archive=guard.DATABASE.name, outcome="failed"
    )
    other = guard.record("verify", 1, source="mariadb", archive=WEB[0].name, archive_id=WEB[0].id)
    archives = (*guard.ALL, *WEB)

    def kinds(*records: Record) -> set[str]:
        found = guard.evidence(archives, (ADOPTION, *guard.RECORDS[:-1], *records))
        return {each.kind for each in refusals(found, found.ids)}

    assert "drill" in kinds(failed, other)
    assert "drill" not in kinds(replace(other, outcome="failed"))

"""A manifest that gives recorded archives other names or dates, with the same ids: `borg check` finds nothing in it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tasks.borg.client.list import Archive
from tasks.borg.guard import may_free
from tasks.borg.removal import vouched
from tasks.errors import RefusedError
from tasks.records.ledger import ADOPTED, NAMES, STARTS, ledger
from tasks.records.record import Record, Records
from tests.unit.borg.test_guard import ALL, DATABASE, FILES, NOW, OLD_FILES, PROOF, RECORDS, evidence, record

EXCHANGED = (replace(OLD_FILES, id=FILES.id), DATABASE, replace(FILES, id=OLD_FILES.id))
MILESTONE = record("prune", 0.5, config_sha256="c0ffee", details=vouched(evidence()))


def kinds(archives: tuple[Archive, ...], *records: Record) -> list[str]:
    return [each.kind for each in evidence(archives, records).doubts]


def test_what_keep_would_drop_for_another_frees_nothing() -> None:
    for records in (RECORDS, (MILESTONE, PROOF), (*RECORDS, MILESTONE)):
        with pytest.raises(RefusedError, match="recorded with another name or date") as caught:
            may_free(evidence(EXCHANGED, records))
        assert FILES.name in caught.value.what
        assert OLD_FILES.name in caught.value.what
        assert "borg.rollback" in caught.value.remedy
        assert may_free(evidence(ALL, records)) == ()


def test_no_milestone_makes_it_right_but_one_that_a_person_forced() -> None:
    again = record("check", 0.2, details=vouched(evidence(EXCHANGED)))
    assert kinds(EXCHANGED, *RECORDS, again) == ["replaced"]
    forced = {**again.details, NAMES: [each.name for each in EXCHANGED]}
    assert kinds(EXCHANGED, *RECORDS, replace(again, details=forced)) == []


def test_archives_of_another_tool_cannot_be_dated_otherwise_for_keep_other() -> None:
    web = tuple(Archive(f"web1-{day}", f"web{day}", NOW - timedelta(days=90 - day)) for day in range(3))
    adopted = {ADOPTED: [each.id for each in web]}
    first = record("init", 100, config_sha256="c0ffee", details={**vouched(evidence((*ALL, *web))), **adopted})
    later = replace(web[0], start=NOW)
    assert kinds((*ALL, *web), *RECORDS, first) == []
    assert kinds((*ALL, later, *web[1:]), *RECORDS, first) == ["replaced"]
    assert kinds((*ALL, replace(web[0], name="web2-0"), *web[1:]), *RECORDS, first) == ["replaced"]


@pytest.mark.parametrize("values", [None, [], ["one"], "text", [1, 2, 3], [None] * 3, [1e300, -1, 10**400], {"a": "b"}])
def test_milestones_of_earlier_versions_and_of_another_form_say_nothing(values: object) -> None:
    details = {**MILESTONE.details, NAMES: values, STARTS: values}
    known = ledger(Records((replace(MILESTONE, details=details),)), NOW)
    assert known.names == {}
    assert known.starts == {} or values == [1, 2, 3]

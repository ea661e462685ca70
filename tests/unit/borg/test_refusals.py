"""The table of what refuses: each kind with an example, what sets it aside, and what docs/security.md says of it."""

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.borg.client.list import Archive
from tasks.borg.guard import may_free
from tasks.borg.refusals import ACCEPT, FORCE, REFUSALS, Evidence, refusals
from tasks.borg.removal import to_prune
from tasks.borg.retention import plan, plan_by_verdict
from tasks.errors import RefusedError
from tasks.inventory.models import Keep, KeepRules
from tasks.records.record import Record
from tasks.storage.state import State
from tests.unit.borg.test_guard import (
    ALL,
    DATABASE,
    FILES,
    NOW,
    OLD_FILES,
    PAIR,
    PROOF,
    RECORDS,
    STATE,
    archive,
    evidence,
    record,
    saved,
)

STRANGE, FORGED = archive("files", 30), archive("files", 2, "forged")
AHEAD = archive("files", -48)
SMALL = saved(FILES, outcome="suspect", details={"suspect": ["3 files"]})
FAILED_DRILL = record("verify", 0.5, source="files", archive=FILES.name, archive_id=FILES.id, outcome="failed")
CHANGING = record("intent", 0.5, details={"of": "change-passphrase", "token": "x"})

# Of each kind what is found, and the archive that a person would accept.
EXAMPLES: dict[str, tuple[Evidence, Archive | None]] = {
    "gone": (evidence((DATABASE, FILES)), None),
    "unknown": (evidence((*ALL, STRANGE)), STRANGE),
    "replaced": (evidence((OLD_FILES, DATABASE, FORGED)), None),  # the one that was there is lost all the same
    "dated": (evidence((*ALL, AHEAD), (*RECORDS, saved(AHEAD))), AHEAD),
    "key": (evidence(state=State(10, "bad", 9, STATE.segments)), None),
    "objects": (evidence(records=(PAIR, *RECORDS), state=State(10, "c0ffee", 9, {3: 4, 7: 2, 9: 1})), None),
    "records": (evidence(broken=("x.json",)), None),
    "check": (evidence(records=(*RECORDS, record("check", 0.5, outcome="failed", error="damaged"))), None),
    "drill": (evidence(records=(*RECORDS, FAILED_DRILL)), FILES),
    "verdict": (evidence(records=(saved(OLD_FILES), saved(DATABASE), SMALL, PROOF)), FILES),
    "stale": (evidence(records=(*RECORDS, record("backup", 1, source="files", outcome="failed"))), None),
    "unproven": (evidence(records=RECORDS[:-1]), None),
    "unfinished": (evidence(records=(*RECORDS, CHANGING)), None),
}


def kinds(found: Evidence) -> set[str]:
    return {reason.kind for reason in refusals(found, found.ids)}


def accepted(found: Evidence, chosen: Archive) -> Evidence:
    said = record("accept", 0, source="files", archive=chosen.name, archive_id=chosen.id, details={"reason": "planned"})
    return Evidence(found.app, found.listing, found.state, replace(found.records, all=(*found.records.all, said)), NOW)


def test_every_kind_has_an_example() -> None:
    assert set(EXAMPLES) == set(REFUSALS) - {"nothing"}


@pytest.mark.parametrize("kind", sorted(EXAMPLES))
def test_what_each_refuses_and_what_sets_it_aside(kind: str) -> None:
    found, _ = EXAMPLES[kind]
    assert kinds(found) == {kind}
    with pytest.raises(RefusedError, match="nothing is freed") as caught:
        may_free(found)
    assert caught.value.exit_code == 5
    assert ("--force" in caught.value.remedy, "report.accept" in caught.value.remedy) == (
        FORCE in REFUSALS[kind].ways,
        ACCEPT in REFUSALS[kind].ways,
    )
    if FORCE in REFUSALS[kind].ways:
        assert {each.kind for each in may_free(found, force=True)} == {kind}
    else:
        with pytest.raises(RefusedError):
            may_free(found, force=True)


@pytest.mark.parametrize("kind", sorted(EXAMPLES))
def test_what_accepting_ends(kind: str) -> None:
    found, chosen = EXAMPLES[kind]
    assert (chosen is not None) == (ACCEPT in REFUSALS[kind].ways)
    if chosen is not None:
        assert kinds(accepted(found, chosen)) == set()
        others = [each for each in found.listing.archives if each.id != chosen.id]
        assert kinds(accepted(found, others[0])) == {kind}  # another archive's accept ends nothing


def test_a_forced_removal_is_held_to_what_a_person_was_told() -> None:
    found, _ = EXAMPLES["check"]
    told = may_free(found, force=True)
    worse = Evidence(found.app, evidence((*ALL, STRANGE)).listing, found.state, found.records, NOW)
    assert may_free(found, force=True, told=told) == told
    with pytest.raises(RefusedError, match="no record tells of it"):
        may_free(worse, force=True, told=told)


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize(
    ("found", "left"),
    [
        (evidence(), {DATABASE.id}),
        (evidence(records=(saved(OLD_FILES), saved(DATABASE), SMALL, PROOF)), {FILES.id, DATABASE.id}),
        (evidence(records=(*RECORDS, FAILED_DRILL)), {FILES.id, DATABASE.id}),
        (evidence((*ALL, STRANGE)), {STRANGE.id, DATABASE.id}),
        (evidence((*ALL, AHEAD), (*RECORDS, saved(AHEAD))), {AHEAD.id, DATABASE.id}),
        (evidence(), set()),
    ],
)
def test_no_source_is_ever_left_without_a_good_archive(found: Evidence, left: set[str], force: bool) -> None:
    with pytest.raises(RefusedError, match="no good archive of files would remain"):
        may_free(found, left, force=force)


def test_the_last_archive_of_all_stays_though_it_is_not_good() -> None:
    found = evidence((FILES, DATABASE), (saved(DATABASE), SMALL, PROOF))
    with pytest.raises(RefusedError, match="no good archive of files would remain"):
        may_free(found, {DATABASE.id}, force=True)


@pytest.mark.parametrize(
    "later",
    [
        record("check", 0.1),
        record("check", 0.1, details={"known_ids": [each.id for each in ALL]}),
    ],
)
def test_a_check_that_succeeded_since_ends_the_failed_one(later: Record) -> None:
    found, _ = EXAMPLES["check"]
    assert kinds(evidence(records=(*found.records.all, later))) == set()
    future = replace(later, time=NOW + timedelta(days=400))
    assert kinds(evidence(records=(*found.records.all, future))) == {"check"}


def test_a_drill_that_succeeded_since_ends_the_failed_one() -> None:
    proof = record("verify", 0.1, source="files", archive=FILES.name, archive_id=FILES.id)
    assert kinds(evidence(records=(*RECORDS, FAILED_DRILL, proof))) == set()


def test_milestones_carry_what_is_not_good() -> None:
    """Their backups' records are read no more."""
    details = {"known_ids": [each.id for each in ALL], "not_good_ids": [FILES.id], "failed_drill_ids": [DATABASE.id]}
    later = record("check", -100, details=details)
    found = evidence(records=(*RECORDS, later))
    found = replace(found, now=NOW + timedelta(hours=101))
    assert found.good == {OLD_FILES.id}
    assert DATABASE.id not in found.known.proven


def gone(found: Evidence) -> set[str]:
    app = found.app.model_copy(update={"keep": Keep(last=1)})
    return set(to_prune(replace(found, app=app)).ids)


def test_prune_counts_good_archives_only() -> None:
    older = archive("files", 90)
    every, records = (older, *ALL), (saved(older), *RECORDS)
    assert gone(evidence(every, records)) == {older.id, OLD_FILES.id}
    assert gone(evidence(every, (*records, FAILED_DRILL))) == {older.id}  # what failed displaces no whole one
    small = (saved(older), saved(OLD_FILES), saved(DATABASE), SMALL, PROOF)
    assert gone(evidence(every, small)) == {older.id}
    old_small = saved(OLD_FILES, outcome="incomplete", details={"left_out": {"count": 1, "first": ["/x"]}})
    assert gone(evidence(every, (saved(older), old_small, saved(DATABASE), saved(FILES), PROOF))) == {
        older.id,
        OLD_FILES.id,
    }


def test_the_newest_proven_one_of_files_stays_as_a_databases_does() -> None:
    proof = record("verify", 40, source="files", archive=OLD_FILES.name, archive_id=OLD_FILES.id)
    assert gone(evidence(records=(*RECORDS, proof))) == set()


@given(
    st.lists(st.tuples(st.integers(0, 2000), st.booleans()), min_size=1, max_size=40, unique_by=lambda each: each[0]),
    st.builds(KeepRules, last=st.integers(1, 3), daily=st.integers(0, 7), weekly=st.integers(0, 3)),
)
def test_what_is_not_good_takes_no_place(ages: list[tuple[int, bool]], rules: KeepRules) -> None:
    archives = [archive("files", hours) for hours, _ in ages]
    good = {each.id for each, (_, whole) in zip(archives, ages, strict=True) if whole}
    found = plan_by_verdict(archives, rules, NOW, good)
    alone = plan([each for each in archives if each.id in good], rules, NOW)
    newest = max((each for each in archives if each.id in good), key=lambda each: each.start, default=None)
    kept = {each.id for each in found.kept}
    assert {each.id for each in alone.kept} | ({newest.id} if newest else set()) == kept & good
    assert {*found.kept, *found.removed} == set(archives)
    if newest is None:
        assert not found.removed
    assert all(newest is not None and each.start < newest.start for each in found.removed)


def test_docs_security_has_the_table() -> None:
    text = (Path(__file__).parents[3] / "docs/security.md").read_text()
    rows = re.findall(r"^\| ([^|]+?) \| ([^|]+?) \| ([^|]+?) \|$", text, re.MULTILINE)
    told = {what: (force, accept) for what, force, accept in rows}
    for kind in REFUSALS.values():
        assert told.get(kind.what) == tuple("yes" if way in kind.ways else "no" for way in (FORCE, ACCEPT)), kind.what

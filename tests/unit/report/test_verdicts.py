"""What an archive's verdict makes of its row: from its record, from its comment, or accepted by a person."""

from datetime import timedelta
from typing import Any

import pytest

from tasks.borg.client.list import Archive
from tasks.fleet.recorder import record_of
from tasks.records.ledger import BEGUN
from tasks.records.record import Record, Records
from tasks.records.verdict import Verdict, verdict_of, verdicts
from tasks.report.judge import Evidence, judge, unjudged
from tasks.report.rows import WORST_FIRST, LeftOut, Row
from tasks.run.outcome import Outcome
from tests.unit.report.support import NOW, SHOP, ago, archive, failed, found, saved

OLD, NEW = archive(ago(days=2)), archive(ago(hours=1))
LACKING = Verdict(5, tuple(f"/srv/{name}: permission denied" for name in "abcde"))
ODD = Verdict(suspect=("4 files, under half of the usual 20,000",))


def judged(verdict: Verdict, of: Archive = NEW, **more: Any) -> Record:
    """Return the record of a backup with that verdict."""
    return saved(of, outcome=verdict.status, details=verdict.details, **more)


def accepted(of: Archive, **more: Any) -> Record:
    values: dict[str, Any] = {"time": ago(minutes=5), "operator": "ann@desk", "details": {"reason": "moved away"}}
    return Record("shop", "accept", outcome="ok", source="files", archive_id=of.id, archive=of.name, **(values | more))


def test_an_archive_that_lacks_something_is_incomplete() -> None:
    row = found([OLD, NEW], [saved(OLD), judged(LACKING)])

    assert (row.status, row.last, row.last_good, row.archive) == ("incomplete", NEW.start, OLD.start, NEW.name)
    assert (row.incomplete, row.suspect, row.verdict_accepted) == (LeftOut(5, LACKING.first), None, None)
    assert row.error == (
        "5 left out: /srv/a: permission denied; /srv/b: permission denied; /srv/c: permission denied and 2 more; "
        "the last good one is of 20 Nov"
    )


def test_an_archive_unlike_its_predecessors_is_suspect() -> None:
    row = found([OLD, NEW], [saved(OLD), judged(ODD)])

    assert (row.status, row.suspect, row.incomplete) == ("suspect", ODD.suspect[0], LeftOut(0))
    assert row.error == f"{ODD.suspect[0]}; the last good one is of 20 Nov"


def test_no_good_archive_at_all_is_said() -> None:
    row = found([OLD, NEW], [judged(LACKING, OLD), judged(LACKING)])

    assert (row.status, row.last_good) == ("incomplete", None)
    assert row.error
    assert row.error.endswith("no good one is known")


def test_a_good_archive_after_an_incomplete_one_is_ok() -> None:
    row = found([OLD, NEW], [judged(LACKING, OLD), saved(NEW)])

    assert (row.status, row.error, row.last_good) == ("ok", None, NEW.start)


@pytest.mark.parametrize("verdict", [LACKING, ODD])
def test_an_accepted_verdict_counts_as_good_with_a_remark(verdict: Verdict) -> None:
    row = found([NEW], [judged(verdict), accepted(NEW)])

    assert (row.status, row.last_good) == ("ok", NEW.start)
    assert row.verdict_accepted
    assert (row.verdict_accepted.by, row.verdict_accepted.reason) == ("ann@desk", "moved away")
    assert row.error
    assert row.error.startswith("accepted by ann@desk (22 Nov): moved away (")


def test_what_was_accepted_of_one_archive_says_nothing_of_the_next() -> None:
    row = found([OLD, NEW], [judged(LACKING, OLD), accepted(OLD, time=ago(days=1)), judged(LACKING)])

    assert (row.status, row.last_good, row.verdict_accepted) == ("incomplete", OLD.start, None)


def test_an_accepted_archive_becomes_late_as_any_other() -> None:
    assert found([OLD], [judged(ODD, OLD), accepted(OLD)]).status == "late"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        ("/srv/gone: stat: [Errno 2] No such file or directory: '/srv/gone'", "incomplete"),
        ("/srv/a: open: [Errno 13] Permission denied: 'a'", "incomplete"),
        ("/srv/log: file changed while we backed it up", "ok"),
        ("saved, but the repository could not be listed afterwards: refused", "ok"),  # it was listed just now
        ("lost; the archive is there and whole all the same, but what borg had to say of it was not heard", "suspect"),
    ],
)
def test_warnings_of_earlier_versions(error: str, status: str) -> None:
    row = found([NEW], [saved(NEW, outcome="warning", error=error)])

    assert row.status == status
    assert status == "ok" or (row.error or "").startswith(("1 left out: " if status == "incomplete" else "") + error)


def test_any_other_warning_has_to_be_looked_at() -> None:
    record = saved(NEW, outcome="warning", error="something is odd", source="mariadb")

    assert verdict_of(record) == Verdict(suspect=("something is odd",))
    assert verdicts(Records((record, accepted(NEW))))[NEW.id].good


def test_a_harmless_remark_is_ok() -> None:
    row = found([NEW], [saved(NEW, error="/srv/log: file changed while we backed it up")])

    assert (row.status, row.error) == ("ok", None)


def test_without_a_record_the_comment_tells() -> None:
    for comment, status in (
        (LACKING.comment, "incomplete"),
        (f"chunk_size=16384 {ODD.comment}", "suspect"),
        ("", "unknown"),
        ("a person's own", "unknown"),
    ):
        row = judge(SHOP, Evidence([NEW], Records(), comments={NEW.id: comment}), NOW)
        assert row.status == status, comment
    assert row.error == f"no record tells whether {NEW.name} is whole"


def test_comments_are_asked_for_only_where_nothing_else_tells() -> None:
    old = saved(OLD)

    assert unjudged(SHOP, Evidence([OLD, NEW], Records((old,))), NOW) == NEW.name
    assert unjudged(SHOP, Evidence([OLD], None), NOW) == OLD.name
    assert unjudged(SHOP, Evidence([OLD, NEW], Records((old, judged(LACKING)))), NOW) is None
    assert unjudged(SHOP, Evidence([OLD, NEW], Records((old, accepted(NEW)))), NOW) is None
    assert unjudged(SHOP, Evidence([], Records((old,))), NOW) is None
    assert unjudged(SHOP, Evidence(None, Records((old,))), NOW) is None


def test_an_archive_whose_backup_has_yet_to_write_its_record_is_not_judged() -> None:
    announced = Record("shop", BEGUN, NEW.start, "ok", "files", archive=NEW.name)

    def row(*archives: Archive, records: tuple[Record, ...]) -> Row:
        return judge(SHOP, Evidence(archives, Records(records), begun={NEW.name}), NOW)

    recent = archive(ago(hours=20))
    assert row(recent, NEW, records=(saved(recent), announced)).status == "ok"
    assert row(OLD, NEW, records=(saved(OLD), announced)).status == "late"  # nothing tells that the new one is good
    assert row(NEW, records=(announced,)).status == "unknown"


def test_the_statuses_worst_first() -> None:
    assert WORST_FIRST == ("failed", "missing", "incomplete", "suspect", "late", "unknown", "paused", "ok")
    incomplete = judged(LACKING)
    assert found([NEW], [incomplete, failed(ago(minutes=5))]).status == "failed"
    assert found([OLD], [judged(LACKING, OLD)]).status == "incomplete"  # and late


def test_a_sentence_is_said_once() -> None:
    forged = archive(ago(hours=1), key="forged")
    doubt = f"{forged.name} is not the recorded one"
    check = failed(ago(minutes=5), f"the repository looks wrong: {doubt}", action="check", source=None)

    row = found([forged], [saved(NEW), check])

    assert row.error == f"check failed (22 Nov): the repository looks wrong: {doubt}"


def test_what_a_backup_found_is_what_the_report_shows() -> None:
    made = Outcome(
        "shop", "files", "ok", NEW.start, 7, archive=NEW.name, archive_id=NEW.id, details=LACKING.details
    ).judged

    row = found([NEW], [record_of(made, "backup")])

    assert (made.status, row.status, row.incomplete) == ("incomplete", "incomplete", LeftOut(5, LACKING.first))
    assert row.age_seconds == timedelta(hours=1).total_seconds()

"""What a person may accept of an app, what stands in the record of it, and what is refused."""

from dataclasses import replace
from unittest import mock

import pytest

from tasks.errors import UsageError
from tasks.records.ledger import ledger
from tasks.records.record import Record, Records
from tasks.records.verdict import stamp
from tasks.report import accept, accept_series
from tasks.report.history import Entry, lines
from tasks.report.judge import Evidence, against
from tests.unit.borg import test_guard as guard
from tests.unit.report.support import NOW, SHOP, ago, archive, failed, found, saved
from tests.unit.report.test_verdicts import LACKING, NEW, ODD, OLD, accepted, judged


def stands(*records: Record) -> dict[str, list[str]]:
    return {each.name: why for each, why in against(SHOP, Evidence([OLD, NEW], Records(records)), NOW).items()}


def test_the_newest_archives_verdict_may_be_accepted() -> None:
    assert stands(saved(OLD), judged(ODD)) == {NEW.name: [ODD.suspect[0]]}
    assert stands(saved(OLD), judged(LACKING))[NEW.name][0].startswith("5 left out: /srv/a")
    assert stands(saved(OLD)) == {NEW.name: ["no record tells whether it is whole"]}


def test_nothing_stands_against_good_archives_or_those_of_old() -> None:
    assert stands(saved(OLD), saved(NEW)) == {}
    assert stands(judged(ODD, OLD), saved(NEW)) == {}
    assert stands(saved(OLD), judged(ODD), accepted(NEW)) == {}


def test_a_failed_drill_may_be_accepted_and_then_is_no_failed_row() -> None:
    drill = failed(ago(minutes=30), "hash of /srv/index.html differs", action="verify", archive_id=OLD.id)

    assert stands(saved(OLD), saved(NEW), drill) == {
        OLD.name: ["restore drill failed (22 Nov): hash of /srv/index.html differs"]
    }
    assert found([OLD, NEW], [saved(OLD), saved(NEW), drill]).status == "failed"
    assert found([OLD, NEW], [saved(OLD), saved(NEW), drill, accepted(OLD)]).status == "ok"
    again = failed(ago(minutes=1), "differs", action="verify", archive_id=OLD.id)
    assert found([OLD, NEW], [saved(OLD), saved(NEW), drill, accepted(OLD), again]).status == "failed"
    assert found([OLD, NEW], [saved(OLD), saved(NEW), drill, accepted(NEW)]).status == "failed"


def test_an_acceptance_covers_the_drills_that_its_author_knew_whatever_the_clocks() -> None:
    known = failed(ago(minutes=30), "hash of /srv/index.html differs", action="verify", archive_id=NEW.id)
    later = failed(ago(minutes=20), "segment 7 is damaged", action="verify", archive_id=NEW.id)
    by_a_fast_clock = replace(accepted(NEW), time=ago(minutes=10), details={"reason": "ours", "drills": [stamp(known)]})
    by_a_slow_clock = replace(by_a_fast_clock, time=ago(minutes=40))
    history = [saved(OLD), saved(NEW), known, by_a_fast_clock]

    assert found([OLD, NEW], history).status == "ok"
    assert found([OLD, NEW], [*history, later]).status == "failed"
    assert found([OLD, NEW], [saved(OLD), saved(NEW), known, by_a_slow_clock]).status == "ok"
    assert ledger(Records(tuple(history)), NOW).failed_drill == frozenset()
    assert ledger(Records((*history, later)), NOW).failed_drill == {NEW.id}
    assert ledger(Records((by_a_slow_clock, known)), NOW).failed_drill == frozenset()


def test_a_failed_backup_or_check_cannot_be_accepted() -> None:
    check = failed(ago(minutes=30), "segment 7 is damaged", action="check", source=None)

    assert stands(saved(OLD), saved(NEW), check, failed(ago(minutes=20))) == {}


@pytest.mark.parametrize("reason", ["", "  "])
def test_a_reason_is_asked_for(reason: str) -> None:
    with pytest.raises(UsageError, match="--reason is empty"):
        accept.run("/nowhere", accept.Options("shop", reason), lambda _: True)


def test_the_record_says_who_when_why_and_in_spite_of_what() -> None:
    app = mock.Mock()
    app.name = "shop"
    each = accept.Accepting(app, "files", NEW, ODD.suspect)

    record = accept.record_of(each, " moved to the new disk ")

    assert (record.action, record.outcome, record.source) == ("accept", "ok", "files")
    assert (record.archive, record.archive_id) == (NEW.name, NEW.id)
    assert record.operator
    assert record.details == {"reason": "moved to the new disk", "against": list(ODD.suspect), "drills": []}


def test_the_history_shows_why() -> None:
    record = accepted(NEW)

    text = list(lines([Entry("shop", record)], NOW))

    assert text[1].split()[-1] == "ann@desk"
    assert text[2].strip() == "because: moved away"


def test_only_archives_of_the_app_count() -> None:
    other = archive(ago(minutes=5), "my own")

    found_ = against(SHOP, Evidence([other], Records((saved(OLD),))), NOW)

    assert found_ == {}


def test_an_archive_under_a_former_name_may_be_accepted() -> None:
    former, other = archive(ago(hours=1), "web-files-2026-11-22T02-10-00"), archive(ago(hours=1), "blog-files-2026")
    evidence = Evidence([OLD, former, other], Records((saved(OLD),)))
    unknown = {former.id, other.id}

    renamed = accept._of_source(replace(SHOP, formerly=("web",)), evidence, unknown, NOW)
    assert [each.name for each in renamed] == [former.name]
    assert "no record tells of it" in renamed[former]
    assert accept._of_source(SHOP, evidence, unknown, NOW) == {}


def test_a_series_never_covers_names_of_our_own_form_and_is_not_offered_for_them() -> None:
    app = guard.SHOP
    own, foreign = archive(ago(hours=1), "web-files-2026-11-22T02-10-00"), archive(ago(hours=1), "web-2026-11-22")

    assert accept_series.covered(app, [own, foreign], "web-*") == [foreign]
    assert accept.way_on([own, foreign]).startswith("`--series 'web-*'`")
    assert "--series" not in accept.way_on([own])
    assert "formerly" in accept.way_on([own])

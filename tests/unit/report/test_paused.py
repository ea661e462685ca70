"""A paused app in the report: its row stays, and no format takes it for a fault."""

import json
from dataclasses import replace
from datetime import date

import pytest

from tasks.borg.anomalies import Doubt
from tasks.borg.client.messages import Level, Message
from tasks.borg.client.runner import BorgError, Result
from tasks.borg.guard import passing
from tasks.records.record import Records
from tasks.remote.running import HostError
from tasks.report.formats import Look, write
from tasks.report.judge import Evidence, judge
from tasks.report.rows import Report, Row, exit_code, verdict
from tests.unit.report.support import NOW, SHOP, ago, archive, failed, saved

UNTIL = date(2026, 12, 24)
PAUSED = replace(SHOP, paused=UNTIL)
OLD = archive(ago(days=9))


def row(evidence: Evidence) -> Row:
    return judge(PAUSED, evidence, NOW)


def report(*rows: Row) -> Report:
    return Report(NOW, rows)


@pytest.mark.parametrize(
    ("evidence", "said"),
    [
        (Evidence([OLD], Records((saved(OLD),))), "the newest archive is 9 days old"),
        (Evidence([OLD], Records((saved(OLD), failed(ago(hours=1))))), "it broke"),
        (Evidence([], Records(())), "paused until 24 Dec 2026"),
        (Evidence(None, None, "cannot be reached"), "cannot be reached"),
    ],
)
def test_what_a_pause_explains_is_no_alarm(evidence: Evidence, said: str) -> None:
    judged = row(evidence)
    assert judged.status == "paused"
    assert judged.paused == "2026-12-24"
    assert judged.error is not None
    assert judged.error.startswith("paused until 24 Dec 2026")
    assert said in judged.error
    assert exit_code(report(judged), strict=True) == 0


def test_what_somebody_did_to_the_repository_stays_an_alarm() -> None:
    wrong = Evidence([OLD], Records((saved(OLD),)), doubts=[Doubt("archives are gone", frozenset({"files"}))])
    for evidence in (wrong, Evidence([OLD], Records((saved(OLD),)), unencrypted="the repository is not encrypted")):
        assert row(evidence).status == "failed"
        assert exit_code(report(row(evidence)), strict=True) == 3


def test_a_repository_that_cannot_be_read_stays_an_alarm_and_a_storage_that_is_away_is_none() -> None:
    overwritten = Evidence(None, Records((saved(OLD),)), "the manifest cannot be read", unreadable=True)
    assert row(overwritten).status == "unknown"
    assert exit_code(report(row(overwritten)), strict=True) == 3
    assert row(replace(overwritten, unreadable=False)).status == "paused"


@pytest.mark.parametrize(
    ("msgid", "passes"),
    [
        ("", True),
        ("LockTimeout", True),
        ("ConnectionClosedWithHint", True),
        ("IntegrityError", False),
        ("Repository.DoesNotExist", False),
        ("Exception", False),
    ],
)
def test_which_faults_of_a_listing_are_of_the_repository(msgid: str, *, passes: bool) -> None:
    assert passing(BorgError("it broke", "", Result(b"", (Message(Level.ERROR, "it broke", msgid),), 2, 1.0))) is passes
    assert passing(HostError("the storage cannot be reached"))


def test_afterwards_it_counts_again() -> None:
    judged = judge(replace(SHOP, paused=NOW.date()), Evidence([OLD], Records((saved(OLD),))), NOW)
    assert (judged.status, judged.paused) == ("late", None)


def test_every_format_shows_it_and_none_as_a_fault() -> None:
    judged = report(row(Evidence([OLD], Records((saved(OLD),)))))
    shown = {name: write(judged, name, Look()) for name in ("table", "json", "csv", "markdown", "html", "prometheus")}

    assert verdict(judged) == "Every backup is there, apart from 1 that is paused"
    assert all("paused" in text for text in shown.values())
    (told,) = json.loads(shown["json"])["apps"]
    assert (told["status"], told["paused"]) == ("paused", "2026-12-24")
    assert (
        'cloudbackup_status{app="shop",cloudbackup_status="paused",source="files",storage="box"} 1.0'
        in (shown["prometheus"])
    )
    assert "Needs a look" not in shown["html"]

"""What both borgs, ssh and Storage Boxes say when something fails (recorded), in a person's words."""

import json
from pathlib import Path
from typing import Any

import pytest

from tasks.borg.client.errors import FAILURES, explain, explain_lost
from tasks.borg.client.messages import Level, Message, read_messages
from tasks.borg.client.versions import Outcome, outcome

CASES: list[dict[str, Any]] = json.loads(Path(__file__).with_name("failures.json").read_text())


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['case']}, {case['borg']}")
def test_the_cause_is_told(case: dict[str, Any]) -> None:
    messages = read_messages("\n".join(case["stderr"]))
    explanation = explain(messages)
    assert (explanation.what if explanation else None) == case["what"]
    expected = Outcome.WARNING if case["case"] == "path never matched" else Outcome.ERROR
    assert outcome(case["code"]) is expected


def test_a_lost_connection_is_told_only_when_ssh_knows_no_more() -> None:
    lost = [Message(Level.ERROR, "Connection closed by remote host. Is borg working on the server?")]
    refused = [Message(Level.OTHER, "u@box: Permission denied (publickey,password).")]
    known, unknown = explain_lost(lost, lambda: refused), explain_lost(lost, list)
    assert known is not None
    assert known.what == "the storage refuses the key"
    assert unknown is not None
    assert unknown.what == "the connection to the storage was lost"
    assert explain_lost([Message(Level.ERROR, "something else")], lambda: refused) is None


def test_information_is_no_cause() -> None:
    assert explain([Message(Level.INFO, "[Errno 28] No space left on device")]) is None


def test_each_row_can_be_told() -> None:
    for row in FAILURES:
        assert row.what
        assert row.msgid or row.pattern
        assert not row.what.endswith(".")

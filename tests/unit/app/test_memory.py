"""What a host without enough memory is told, by each program that runs out of it."""

import subprocess
from pathlib import Path

import pytest

from tasks.app.check_result import Check
from tasks.app.checks import _memory
from tasks.borg.client.errors import explain, explain_code
from tasks.borg.client.messages import read_messages
from tasks.mariadb import errors
from tasks.mariadb.host import private_server
from tasks.mariadb.host.ordinary_user import DrillFault
from tasks.mariadb.host.private_server import Private
from tasks.remote.facts import parse_facts


class Shop:
    """As much of an app as is looked at."""

    name = "shop"
    host = "root@shop1"


def memory(free: int | None) -> list[Check]:
    return list(_memory(Shop(), free))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("lines", "free"),
    [
        (("memory=1.6e+10",), 16 * 10**9),
        (("memory=16000000000", "memory_of_31=536870912", "memory_of_14=max"), 536870912),
        (("memory=400000000", "memory_of_1=9223372036854771712"), 400000000),
        (("memory=", "memory_of_14=max"), None),
    ],
)
def test_a_limit_of_the_login_counts(lines: tuple[str, ...], free: int | None) -> None:
    assert parse_facts("\n".join(lines)).memory_available == free


def test_app_check_shows_what_is_free_and_warns_of_too_little() -> None:
    assert [(each.level, each.text) for each in memory(512 * 10**6)] == [("ok", "512 MB free on root@shop1")]
    (short,) = memory(90 * 10**6)
    assert (short.level, short.text.split(":")[0]) == ("warning", "only 90 MB free on root@shop1")
    assert memory(None) == []


@pytest.mark.parametrize("code", [137, 247])
def test_a_borg_that_was_killed_and_said_nothing_is_named(code: int) -> None:
    told = explain_code(code)
    assert told is not None
    assert told.what == "borg was killed on the host"
    assert explain_code(2) is None


def test_a_borg_that_got_no_memory_is_named() -> None:
    told = explain(read_messages("Traceback (most recent call last):\n  File ...\nMemoryError\n"))
    assert told is not None
    assert "did not get the memory" in told.what


@pytest.mark.parametrize(
    "said",
    [
        "mariadb-backup: Out of memory; restart server and try again (needed 10485840 bytes)",
        "terminate called after throwing an instance of 'std::bad_alloc'\n  what():  std::bad_alloc",
    ],
)
def test_a_dump_that_got_no_memory_is_named(said: str) -> None:
    """As mariadb-backup 10.11.19 says it; the filter behind it then misses the stream's end."""
    told = errors.find(f"{said}\nalign: the stream ends before *_checkpoints (byte 135199066 of the stream)")
    assert told is not None
    assert "did not get the memory" in told[0]


def test_a_killed_server_of_a_drill_accuses_no_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(private_server, "program", lambda names, _: names[0])
    server = Private(tmp_path, 1)
    server.process = subprocess.Popen(["sleep", "60"])
    server.refuse_killed()  # it lives
    server.process.kill()
    assert server.ended()
    with pytest.raises(DrillFault, match="was killed"):
        server.refuse_killed()

"""A chunk size is for a repository's life: a database that outgrows it goes on deduplicating, and a person is told."""

from typing import Any

import pytest

from tasks.borg.list import Archive, look_up
from tasks.fleet import database, saving
from tasks.inventory import load
from tasks.inventory.models import App
from tasks.lab.lab import Lab
from tasks.mariadb import chunks, server
from tasks.mariadb.server import Server
from tasks.storage.base import Storage
from tasks.storage.records import Records
from tasks.storage.session import Session


def test_a_database_that_outgrew_its_chunk_size_keeps_it_and_says_so(
    lab: Lab, saved: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its record tells the size or, where there is none any more, its archives do."""
    only = saving.Options(apps=("shop",), sources=("mariadb",))
    assert saving.run(str(lab.inventory), only) == 0
    before = capsys.readouterr().out
    asked: list[object] = []

    def counted(*about: Any) -> Archive | None:
        asked.append(about)
        return look_up(*about)

    monkeypatch.setattr("tasks.fleet.database.look_up", counted)
    monkeypatch.setattr(chunks, "BYTES_PER_CHUNK", chunks.BYTES_PER_CHUNK << 20)  # as if it had grown by so much
    assert chunks.choose(1 << 20, None) == chunks.SIZES[-1]
    assert saving.run(str(lab.inventory), only) == 0
    after = capsys.readouterr().out
    assert "in chunks of 16 KiB borg needs" in after
    assert "in chunks of" not in before
    added = after.partition("+")[2].split()
    assert added[1] in {"B", "kB"}, after
    assert asked == []
    monkeypatch.setattr(Storage, "read_records", lambda *_: Records())
    with Session(load(lab.inventory)) as session:
        assert database.chunk_size_of(session, *ask(session)) == 16 << 10
    assert len(asked) == 1


def ask(session: Session) -> tuple[App, Server]:
    app = session.inventory.select(("shop",), None)[0]
    return app, server.ask(session.host(app), database.access(app))

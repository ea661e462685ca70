"""A chunk size is for a repository's life: a database that outgrows it goes on deduplicating, and a person is told."""

from typing import Any

import pytest

import tasks.fleet.backup as fleet_backup
from lab.lab import Lab
from tasks.borg.client.list import Archive, look_up
from tasks.inventory.models import App
from tasks.mariadb import chunk_sizes, mariadb_source, server
from tasks.mariadb.server import Server
from tasks.records.record import Records
from tasks.run.session import Session
from tasks.storage.base import Storage
from tasks.storage.registry import load


def test_a_database_that_outgrew_its_chunk_size_keeps_it_and_says_so(
    lab: Lab, saved: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its record tells the size or, where there is none any more, its archives do."""
    only = fleet_backup.Options(apps=("shop",), sources=("mariadb",))
    assert fleet_backup.run(str(lab.inventory), only) == 0
    before = capsys.readouterr().out
    asked: list[object] = []

    def counted(*about: Any) -> Archive | None:
        asked.append(about)
        return look_up(*about)

    monkeypatch.setattr(mariadb_source, "look_up", counted)
    monkeypatch.setattr(
        chunk_sizes, "BYTES_PER_CHUNK", chunk_sizes.BYTES_PER_CHUNK << 22
    )  # as if it had grown by so much
    assert chunk_sizes.choose(1 << 20, None) == chunk_sizes.SIZES[-1]
    assert fleet_backup.run(str(lab.inventory), only) == 0
    after = capsys.readouterr().out
    assert "in chunks of 16 KiB borg needs" in after
    assert "in chunks of" not in before
    added = after.partition("+")[2].split()
    assert added[1] in {"B", "kB"}, after
    assert asked == []
    monkeypatch.setattr(Storage, "read_records", lambda *_: Records())
    with Session(load(lab.inventory)) as session:
        assert mariadb_source.chunk_size_of(session, *ask(session)) == 16 << 10
    assert len(asked) == 1


def ask(session: Session) -> tuple[App, Server]:
    app = session.inventory.select(("shop",), None)[0]
    return app, server.ask(session.host(app), mariadb_source.access(app))

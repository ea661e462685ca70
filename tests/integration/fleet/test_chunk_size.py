"""A chunk size is for a repository's life: a database that outgrows it goes on deduplicating, and a person is told."""

import pytest

from tasks.fleet import saving
from tasks.lab.lab import Lab
from tasks.mariadb import chunks


def test_a_database_that_outgrew_its_chunk_size_keeps_it_and_says_so(
    lab: Lab, saved: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    only = saving.Options(apps=("shop",), sources=("mariadb",))
    assert saving.run(str(lab.inventory), only) == 0
    before = capsys.readouterr().out
    monkeypatch.setattr(chunks, "BYTES_PER_CHUNK", chunks.BYTES_PER_CHUNK << 20)  # as if it had grown by so much
    assert chunks.choose(1 << 20, None) == chunks.SIZES[-1]
    assert saving.run(str(lab.inventory), only) == 0
    after = capsys.readouterr().out
    assert "in chunks of 16 KiB borg needs" in after
    assert "in chunks of" not in before
    added = after.partition("+")[2].split()
    assert added[1] in {"B", "kB"}, after

"""An archive whose end was not heard is taken over; what borg itself said of it is believed."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tasks.borg import create as borg_create
from tasks.borg.client.create import FilesOptions, IncompleteError
from tasks.borg.client.list import Archive
from tasks.borg.client.runner import BorgError, ContentError, Result
from tasks.errors import CloudbackupError
from tasks.remote.running import HostError

NAME = "shop-files-2026-11-24T03-00-00"
FOUND = Archive(NAME, "ab" * 32, datetime(2026, 11, 24, 3, tzinfo=UTC))


def said(code: int) -> Result:
    return Result(b"", (), code, 1.0)


@pytest.mark.parametrize(
    ("error", "taken"),
    [
        (HostError("shop: the connection was lost", transient=True), True),
        (BorgError("the connection to the storage was lost", "", said(2), transient=True), True),
        (BorgError("borg was killed on the host", "", said(137)), True),
        (BorgError("the repository is damaged", "", said(2)), False),
        (BorgError("borg failed", "", said(107)), False),
        (ContentError("the dump failed", "", said(2)), False),
        (IncompleteError("the storage was full for a while", "", said(1)), False),
    ],
)
def test_only_what_nobody_told_the_end_of_is_taken_over(
    error: CloudbackupError, taken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def create(*_: object) -> None:
        raise error

    listing = SimpleNamespace(archives=(FOUND,))
    monkeypatch.setattr(borg_create, "create", create)
    monkeypatch.setattr(borg_create, "archives", lambda *_, **__: listing)
    storage = SimpleNamespace(announce=lambda *_: None, withdraw=lambda *_: None)
    session = SimpleNamespace(storage_of=lambda _: storage, repository=lambda *_: None)
    app, repository = SimpleNamespace(name="shop"), SimpleNamespace(publication=None)
    options = FilesOptions(NAME, ("/srv",))

    def make() -> Any:
        return borg_create.make(cast("Any", session), cast("Any", app), cast("Any", repository), options)

    if taken:
        made = make()
        assert (made.id, made.met, made.size) == (FOUND.id, error, None)
    else:
        with pytest.raises(type(error)):
            make()

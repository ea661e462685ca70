"""No second repository is made where a change that was killed has moved the first."""

from typing import Any
from unittest import mock

import pytest

from tasks.borg import verbs
from tasks.borg.announcement import ANNOUNCED, announced
from tasks.errors import AppError, RefusedError
from tasks.records.record import Records
from tests.unit.borg.test_guard import SHOP

NAME = SHOP.name


class MadeError(AppError):
    """A repository would have been made."""


def take(monkeypatch: pytest.MonkeyPatch, *, there: bool, of: str) -> None:
    """Take a repository into use while a change of this kind has not ended."""

    def init(_repository: object, _escrow: object, announced: Any) -> None:
        raise MadeError("made")

    storage = mock.Mock()
    storage.files.return_value.exists.return_value = there
    storage.ahead.return_value = None
    storage.path.return_value = "/pool/shop"
    storage.read_history.return_value = Records((announced(NAME, of, "0123456789abcdef"),))
    opened = mock.Mock(app=SHOP)
    opened.session.storage_of.return_value = storage
    monkeypatch.setattr(verbs, "init", init)
    monkeypatch.setattr(verbs, "announce", mock.Mock(return_value="token"))
    verbs.take_into_use(opened)


@pytest.mark.parametrize("of", ["rename", "renew"])
def test_a_repository_that_was_moved_away_is_not_made_again(monkeypatch: pytest.MonkeyPatch, of: str) -> None:
    with pytest.raises(RefusedError, match=f"shop: {ANNOUNCED[of]}") as caught:
        take(monkeypatch, there=False, of=of)
    assert "has not ended" in caught.value.what
    with pytest.raises(MadeError):
        take(monkeypatch, there=True, of=of)


@pytest.mark.parametrize("of", ["init", "remove", "accept"])
def test_what_moves_no_repository_hinders_none(monkeypatch: pytest.MonkeyPatch, of: str) -> None:
    with pytest.raises(MadeError):
        take(monkeypatch, there=False, of=of)

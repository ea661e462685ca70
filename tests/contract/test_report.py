"""The report sees what changed on a storage of any kind, and asks borg for nothing else."""

import pytest

from tasks.borg.client.delete import delete
from tasks.report.gather import gather
from tasks.report.rows import Row
from tasks.run.session import Session
from tasks.storage.registry import load
from tests.contract.bench import Bench, Sides
from tests.contract.kinds import every_kind
from tests.contract.support import QUICK


def row_of(bench: Bench, app: str) -> Row:
    with Session(load(bench.inventory)) as session:
        report = gather(session, session.inventory.select(["shop", "blog"]))
    return next(row for row in report.apps if row.app == app)


@every_kind
def test_only_what_changed_is_listed(bench: Bench, shop: Sides, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.save()  # with what an earlier test may have left saved and not published
    before = row_of(bench, "shop")
    made = shop.save()
    assert row_of(bench, "shop").archives == (before.archives or 0) + 1
    with monkeypatch.context() as patch:
        patch.setattr("tasks.borg.catalog.archives", None)  # nobody may ask
        assert row_of(bench, "shop").archives == (before.archives or 0) + 1
        assert row_of(bench, "blog").status != "unknown"
    delete(shop.operator, (made.archive,), QUICK)
    assert row_of(bench, "shop").archives == before.archives

"""The emulated API under Hetzner's own library: partial answers, actions, refusals; and what a person is explained."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hcloud import APIException
from hcloud.storage_boxes import BoundStorageBox, StorageBoxSnapshotPlan, StorageBoxSubaccountAccessSettings

from lab.accounts import Account
from lab.api import Api, serve
from lab.estate import BOX_ID, Estate
from lab.process import free_port
from lab.snapshots import due
from tasks.errors import AppError
from tasks.remote.hetzner import client, explained
from tasks.remote.secret import Secret


@dataclass
class Served:
    endpoint: str
    accounts: dict[str, Account]
    pool: Path
    estate: Estate
    busy: int = 0

    def box(self) -> BoundStorageBox:
        return client(Secret("right"), self.endpoint).storage_boxes.get_by_id(BOX_ID)

    def is_busy(self) -> bool:
        self.busy -= 1
        return self.busy >= 0


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    port = free_port()
    accounts = {"u1": Account("u1", "password")}
    pool = tmp_path / "pool"
    pool.mkdir()
    estate = Estate(pool, tmp_path / "kept", accounts, lambda: 1 << 40, lambda: None)
    served = Served(f"http://127.0.0.1:{port}/v1", accounts, pool, estate)
    server = serve(Api(estate, "right", served.is_busy), port)
    yield served
    server.shutdown()
    server.server_close()


def test_a_snapshot_holds_what_was_and_a_rollback_drops_what_is_newer(served: Served) -> None:
    box, file = served.box(), served.pool / "file"
    file.write_text("first")
    made = box.create_snapshot(description="before")
    assert made.snapshot.complete is False
    made.action.wait_until_finished()
    file.write_text("second, longer")
    box.create_snapshot().action.wait_until_finished()
    first, second = box.get_snapshot_all()
    assert (first.description, first.is_automatic, first.stats.size if first.stats else 0) == ("before", False, 5)
    assert first.name != second.name
    box.reload()
    assert box.stats is not None
    assert (box.stats.size_data, box.stats.size_snapshots, box.stats.size) == (14, 5, 19)
    box.rollback_snapshot(first).wait_until_finished()
    assert file.read_text() == "first"
    assert [each.id for each in box.get_snapshot_all()] == [first.id]


def test_sub_accounts_are_made_until_the_limit(served: Served) -> None:
    box = served.box()
    for number in range(100):
        box.create_subaccount(home_directory=f"apps/{number}", password="p")
    assert len({each.username for each in box.get_subaccount_all()}) == 100
    with pytest.raises(AppError, match="limit exceeded") as refused, explained("box"):
        box.create_subaccount(home_directory="apps/more", password="p")
    assert "the box allows no more" in refused.value.remedy
    found = box.get_subaccount_by_username("u1-sub7")
    assert found is not None
    found.delete().action.wait_until_finished()
    assert "u1-sub7" not in served.accounts
    assert (served.pool / "apps/6").is_dir()
    made = box.create_subaccount(home_directory="apps/6", password="p").subaccount
    made.reload()
    assert made.username == "u1-sub7"


@pytest.mark.parametrize(
    ("token", "number", "what"), [("wrong", BOX_ID, "made in the Console"), ("right", 1, "correct `box`")]
)
def test_a_refusal_says_what_to_do(served: Served, token: str, number: int, what: str) -> None:
    with pytest.raises(AppError) as refused, explained("box"):
        client(Secret(token), served.endpoint).storage_boxes.get_by_id(number)
    assert what in refused.value.remedy


def test_a_path_with_a_leading_slash_is_refused(served: Served) -> None:
    with pytest.raises(APIException, match="invalid input"):
        served.box().create_subaccount(home_directory="/apps", password="p")


def test_a_box_is_protected_and_too_many_requests_are_repeated(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hcloud._client.time.sleep", lambda _: None)
    served.busy = 2
    box = served.box()
    with pytest.raises(AppError, match="protected") as refused, explained("box"):
        box.delete()
    assert "take the protection away" in refused.value.remedy
    served.busy = 100
    with pytest.raises(AppError, match="rate limit") as refused, explained("box"):
        box.reload()
    assert "wait some minutes" in refused.value.remedy


def test_an_api_out_of_reach_is_told() -> None:
    with pytest.raises(AppError, match="cannot be reached"), explained("box"):
        client(Secret("t"), f"http://127.0.0.1:{free_port()}/v1").storage_boxes.get_all()


def test_what_was_made_can_be_changed(served: Served) -> None:
    box = served.box()
    made = box.create_subaccount(home_directory="old/", password="first").subaccount
    made.reload()
    assert made.update(name="shop", labels={"for": "shop"}).name == "shop"
    made.change_home_directory("new").wait_until_finished()
    made.reset_password("second").wait_until_finished()
    switches = StorageBoxSubaccountAccessSettings(ssh_enabled=True, readonly=True)
    made.update_access_settings(switches).wait_until_finished()
    assert served.accounts["u1-sub1"] == Account("u1-sub1", "second", "new", readonly=True, ssh_enabled=True)
    made.reload()
    assert (made.home_directory, made.labels, made.access_settings and made.access_settings.readonly) == (
        "new",
        {"for": "shop"},
        True,
    )
    assert box.get_folders().folders == ["new", "old"]
    assert box.get_folders(path="../").folders == []
    snapshot = box.create_snapshot().snapshot
    snapshot.reload()
    assert snapshot.update(description="kept").description == "kept"
    box.reset_password("third").wait_until_finished()
    assert served.accounts["u1"].password == "third"
    assert box.update(name="renamed").name == "renamed"
    kinds = client(Secret("right"), served.endpoint).storage_box_types.get_all()
    assert [(each.name, each.snapshot_limit, each.size) for each in kinds] == [("bx11", 10, 1 << 40)]


def test_a_plan_has_its_own_limit_beside_what_is_made_by_hand(served: Served) -> None:
    box = served.box()
    for _ in range(10):
        box.create_snapshot()
    with pytest.raises(APIException, match="snapshot limit exceeded"):
        box.create_snapshot()
    box.enable_snapshot_plan(StorageBoxSnapshotPlan(30, 3, 0)).wait_until_finished()
    for day in range(1, 13):
        assert served.estate.snapshots.come(datetime(2026, 11, day, 3, tzinfo=UTC)) == f"2026-11-{day:02}T03-00-00"
    assert [each.name for each in box.get_snapshot_all(is_automatic=True)] == [
        f"2026-11-{day:02}T03-00-00" for day in range(3, 13)
    ]
    assert len(box.get_snapshot_all(is_automatic=False)) == 10


@pytest.mark.parametrize(
    ("plan", "days"),
    [
        ({"day_of_week": 7}, [1, 8, 15, 22, 29]),
        ({"day_of_month": 31}, [31]),
        ({"hour": 4}, []),
        ({"minute": 1}, []),
    ],
)
def test_a_plan_is_due_at_its_minute_of_its_days(plan: dict[str, int], days: list[int]) -> None:
    wanted = {"hour": 3, "minute": 0, "day_of_week": None, "day_of_month": None, **plan}
    assert [day for day in range(1, 32) if due(wanted, datetime(2026, 3, day, 3, tzinfo=UTC))] == days

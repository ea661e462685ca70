"""Choosing apps of an inventory."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.errors import UsageError
from tasks.inventory.inventory import Inventory, read_part
from tasks.storage.registry import load
from tests.unit.inventory.support import APP, write

NAMES = ["blog", "crm", "mail", "shop", "wiki"]


@pytest.fixture
def inventory(tmp_path: Path) -> Inventory:
    return load(write(tmp_path, **dict.fromkeys(reversed(NAMES), APP)))


def names(inventory: Inventory, chosen: list[str] | None = None, part: str | None = None) -> list[str]:
    return [app.name for app in inventory.select(chosen or [], part)]


def test_no_name_means_all_in_order(inventory: Inventory) -> None:
    assert names(inventory) == NAMES


def test_named_apps_come_once_and_in_order(inventory: Inventory) -> None:
    assert names(inventory, ["shop", "blog", "shop"]) == ["blog", "shop"]


def test_an_unknown_app_is_refused_with_the_nearest(inventory: Inventory) -> None:
    with pytest.raises(UsageError, match=r"no app `shpo`; did you mean shop\?"):
        inventory.select(["blog", "shpo"])


def test_every_nth_app(inventory: Inventory) -> None:
    assert names(inventory, part="1/2") == ["blog", "mail", "wiki"]
    assert names(inventory, part="2/2") == ["crm", "shop"]
    assert names(inventory, ["shop", "wiki"], part="2/2") == ["wiki"]
    assert names(inventory, part="7/7") == []  # more parts than apps: some have nothing to do


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 9))
def test_the_parts_together_are_all_apps_once(inventory: Inventory, count: int) -> None:
    parts = [name for index in range(1, count + 1) for name in names(inventory, part=f"{index}/{count}")]
    assert sorted(parts) == NAMES


@pytest.mark.parametrize(
    "text", ["", "1", "0/2", "3/2", "1/0", "-1/2", "1/2/3", "a/b", " 1/2", "1/2\n", "1.0/2", "٣/٤"]
)
def test_what_is_no_part(text: str) -> None:
    with pytest.raises(UsageError, match="--part I/N"):
        read_part(text)


def test_an_inventory_without_apps_loads_but_has_nothing_to_do(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "apps" / "shop.yml").unlink()
    inventory = load(tmp_path)

    assert list(inventory.storages) == ["disk"]
    with pytest.raises(UsageError, match="holds no app yet"):
        inventory.select()

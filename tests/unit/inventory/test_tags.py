"""Choosing apps by tags, and apps that are paused."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from tasks.errors import UsageError
from tasks.inventory.inventory import Inventory
from tasks.inventory.tag import Tag
from tasks.options import Apps
from tasks.run.paused import awake
from tasks.storage.registry import load
from tests.unit.inventory.support import APP, faults, write

NIGHT_BEFORE = datetime(2026, 12, 23, 22, 59, tzinfo=UTC)
MIDNIGHT = datetime(2026, 12, 23, 23, 0, tzinfo=UTC)  # in Berlin


@pytest.fixture
def inventory(tmp_path: Path) -> Inventory:
    return load(
        write(
            tmp_path,
            blog=f"{APP}tags: [prod, wordpress]\n",
            crm=f"{APP}paused: 9999-12-31\n",
            mail=f"{APP}tags: prod\npaused: 9999-12-31\n",
            shop=f"{APP}tags: [staging]\npaused: 2020-01-01\n",
        )
    )


def names(inventory: Inventory, *chosen: str) -> list[str]:
    return [app.name for app in inventory.select(chosen)]


def test_a_tag_stands_for_all_apps_that_have_it(inventory: Inventory) -> None:
    assert names(inventory, Tag("prod")) == ["blog", "mail"]


def test_tags_and_names_add_up(inventory: Inventory) -> None:
    assert names(inventory, Tag("staging"), "crm", Tag("wordpress"), "blog") == ["blog", "crm", "shop"]


def test_parts_are_of_the_apps_with_the_tag(inventory: Inventory) -> None:
    assert [app.name for app in inventory.select([Tag("prod")], "2/2")] == ["mail"]


@pytest.mark.parametrize(
    ("tag", "said"),
    [
        ("prd", r"no app has the tag `prd`; did you mean prod\?"),
        ("zzz", r"no app has the tag `zzz`; known: prod, staging, wordpress"),
        ("shop", "no app has the tag `shop`"),
    ],
)
def test_a_tag_that_no_app_has_is_refused(inventory: Inventory, tag: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        inventory.select([Tag(tag)])


def test_a_name_is_not_taken_for_a_tag(inventory: Inventory) -> None:
    with pytest.raises(UsageError, match="no app `prod`"):
        inventory.select(["prod"])


def test_without_any_tag_it_says_how_to_give_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"(?s)no app has the tag `prod`.*tags: \[prod\]"):
        load(write(tmp_path)).select([Tag("prod")])


def test_options_give_names_and_tags() -> None:
    chosen = Apps(app=("shop",), tag=("prod",)).chosen
    assert chosen == ("shop", "prod")
    assert [isinstance(each, Tag) for each in chosen] == [False, True]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("tags: []", "tags: names none"),
        ("tags: [prod, prod]", "tags: names one of them twice"),
        ("tags: [Prod]", "tags: a name begins with a-z or 0-9"),
        ("paused: true", "paused: must be a day, such as 2026-12-24"),
        ("paused: 2026-02-30", "paused: 2026-02-30 is not in the calendar: write a day such as 2026-12-24"),
        ("paused: 24.12.2026", "paused: must be a day, such as 2026-12-24"),
        ("paused: 2026-12-24 08:00", "paused: must be a day, such as 2026-12-24"),
        ("paused: 20261224", "paused: must be a day, such as 2026-12-24"),
    ],
)
def test_a_wrong_value_is_one_message_with_its_line(tmp_path: Path, line: str, said: str) -> None:
    (fault,) = faults(write(tmp_path, shop=f"{APP}{line}\n"))
    assert fault.startswith(f"apps/shop.yml:3: {said}")


@pytest.mark.parametrize(("now", "paused"), [(NIGHT_BEFORE, True), (MIDNIGHT, False)])
def test_a_pause_ends_at_midnight_of_the_operators_zone(
    inventory: Inventory, zone: None, now: datetime, *, paused: bool
) -> None:
    app = inventory.apps["crm"].model_copy(update={"paused": date(2026, 12, 24)})
    assert app.paused_at(now) is paused


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Europe/Berlin")
        time.tzset()


def test_a_run_passes_over_what_is_paused_and_says_so(inventory: Inventory, capsys: pytest.CaptureFixture[str]) -> None:
    assert [app.name for app in awake(inventory, [])] == ["blog", "shop"]
    assert capsys.readouterr().out == (
        "crm is paused until 31 Dec 9999: passed over\nmail is paused until 31 Dec 9999: passed over\n"
    )
    assert [app.name for app in awake(inventory, [Tag("prod"), "crm"], quiet=True)] == ["blog"]
    assert capsys.readouterr().out == ""


def test_only_paused_apps_named_are_refused(inventory: Inventory) -> None:
    with pytest.raises(UsageError, match="crm is paused until 31 Dec 9999; mail is paused") as caught:
        awake(inventory, ["mail", "crm"])
    assert "apps' file" in str(caught.value) or "app's file" in str(caught.value)


def test_a_tag_of_paused_apps_alone_is_nothing_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    inventory = load(write(tmp_path, shop=f"{APP}tags: [old]\npaused: 9999-12-31\n"))
    assert awake(inventory, [Tag("old")]) == []
    assert awake(inventory, []) == []
    assert "shop is paused" in capsys.readouterr().out

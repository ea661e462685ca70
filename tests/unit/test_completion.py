"""What the Tab key offers, without a shell."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from invoke.parser.context import ParserContext

import tasks
from tasks import completion
from tasks.completion import Line, candidates
from tasks.report.formats import WRITERS

EXAMPLE = Path(__file__).parents[2] / "examples/inventory"
CONTEXTS: dict[str, ParserContext] = {context.name or "": context for context in tasks.ns.to_contexts()}
CORE = ("--list", "--help")


def offered(text: str, inventory: Path = EXAMPLE) -> list[str]:
    return candidates(Line(text.split(" "), CONTEXTS, inventory), CORE)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", sorted(CONTEXTS)),
        ("backup --app ", ["blog", "shop"]),
        ("backup --app=s", ["--app=shop"]),
        ("backup --app = s", ["shop"]),
        ("backup --app =", ["blog", "shop"]),
        ("backup --app b --app s", ["shop"]),
        ("backup --app shop check --app ", ["blog", "shop"]),
        ("backup -a s", ["shop"]),
        ("backup --app blog --source ", ["files", "mariadb"]),
        ("restore --app shop --source b", ["binlog"]),
        ("restore --app shop --to l", ["local"]),
        ("borg.rollback --app shop --to ", []),
        ("backup --tag w", ["wordpress"]),
        ("report.show --format h", ["html"]),
        ("report.history --format ", ["json", "table"]),
        ("mariadb.dump --format ", ["csv", "sql"]),
        ("borg.diff --app shop --first y", ["yesterday"]),
        ("restore --target /tm", []),
        ("backup --quiet=", []),
        ("--li", ["--list"]),
        ("nonsense --app ", sorted(CONTEXTS)),
    ],
)
def test_what_fits(text: str, expected: list[str]) -> None:
    assert offered(text) == expected


def test_an_options_letters_are_left_to_those_who_know_them() -> None:
    assert all(each.startswith("--") for each in offered("backup -"))
    assert "--app" in offered("backup ")


def test_the_formats_are_those_that_there_are() -> None:
    assert set(completion.FORMATS["report"]) == set(completion.FORMATS["report.show"]) == set(WRITERS)


@pytest.mark.parametrize("option", ["app", "tag", "storage", "source", "archive"])
@pytest.mark.parametrize(
    "content", [b"", b"\xff", b"- a", b"tags: 5", b"{", b"mariadb: 3\ndumps: 4\ncache: 5\nstorages: 1"]
)
def test_a_broken_inventory_offers_what_it_can(tmp_path: Path, option: str, content: bytes) -> None:
    (tmp_path / "apps").mkdir()
    for name in ("cloudbackup.yml", "apps/shop.yml"):
        (tmp_path / name).write_bytes(content)
    for place in (tmp_path, tmp_path / "nowhere"):
        assert isinstance(offered(f"restore --{option} ", place), list)


@given(
    st.lists(st.sampled_from([*sorted(CONTEXTS)[:5], "backup", "--app", "--app=", "=", "-", "", "--", "shop", "/x"]))
)
def test_no_line_is_too_odd(words: list[str]) -> None:
    assert isinstance(candidates(Line(words, CONTEXTS, EXAMPLE), CORE), list)


def test_what_a_shell_would_run_is_not_offered(tmp_path: Path) -> None:
    """An archive's name may come from a hostile host, and the Tab key puts it on the command line."""
    (tmp_path / "cloudbackup.yml").write_text(f"cache: {tmp_path}\n")
    place = tmp_path / "report/box"
    place.mkdir(parents=True)
    names = [
        "shop-files-2026-11-22T03-00-00",
        "shop;reboot",
        "shop$(reboot)",
        "shop`x`",
        "shop\x1b[2J",
        "shop\udcff",
        "a b",
    ]
    (place / "shop.json").write_text("1\n" + json.dumps({"archives": [[name] for name in names]}))
    assert offered("restore --app shop --archive ", tmp_path) == ["latest", names[0], "yesterday"]


def test_a_folder_of_a_user_who_is_not_known_offers_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INVOKE_INVENTORY", "~nobody-of-this-name/inventory")
    assert offered("backup --app ", completion.inventory("")) == []
    (tmp_path / "cloudbackup.yml").write_text("cache: ~nobody-of-this-name/x\n")
    assert offered("restore --archive ", tmp_path) == ["latest", "yesterday"]

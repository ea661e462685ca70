"""The report as people and programs see it."""

import csv
import io
import json
import os
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from tasks.errors import AppError, UsageError
from tasks.files import write_whole
from tasks.inventory.models import App
from tasks.report.formats import WRITERS, Look, write
from tasks.report.rows import WELL, WORST_FIRST, Acceptance, LeftOut, Report, Row, StorageRow, exit_code, expected
from tasks.units import wants_colour
from tasks.version import VERSION

NOW = datetime(2026, 11, 22, 3, 10, tzinfo=UTC)
CET = Look(zone=ZoneInfo("Europe/Berlin"))
OK = Row(
    app="shop",
    host="root@shop.example.org",
    storage="box",
    source="mariadb",
    status="ok",
    archive="shop-mariadb-2026-11-22T03-00-00",
    last=datetime(2026, 11, 22, 3, tzinfo=UTC),
    last_good=datetime(2026, 11, 22, 3, tzinfo=UTC),
    incomplete=LeftOut(0),
    age_seconds=600,
    archives=17,
    size=38_100_000_000,
    stored=212_000_000,
    duration_seconds=7.2,
    proven=datetime(2026, 11, 20, 3, tzinfo=UTC),
    recoverable_until=datetime(2026, 11, 22, 3, 5, tzinfo=UTC),
)
FILES = replace(OK, source="files", size=12_400_000_000, stored=118_000_000, recoverable_until=None)
FAILED = Row(
    app="blog",
    host="blog",
    storage="box",
    source="mariadb",
    status="failed",
    last=datetime(2026, 11, 20, 3, tzinfo=UTC),
    last_good=datetime(2026, 11, 20, 3, tzinfo=UTC),
    age_seconds=2 * 86400 + 600,
    archives=5,
    size=1_200_000_000,
    stored=313_000_000,
    error="'backup'@'localhost' may not RELOAD (since 21 Nov)",
)
UNKNOWN = Row("wiki", "wiki", "vault", "files", "unknown", error="vault: connection refused")
MISSING = Row("mail", "mail", "box", "files", "missing", archives=0)
BOX = StorageRow("box", "storagebox", used=612_000_000_000, size=1_100_000_000_000)
REPORT = Report(
    NOW, (FILES, OK, FAILED, UNKNOWN, MISSING), (BOX, StorageRow("vault", "ssh", error="connection refused"))
)

TABLE = """\
app    source    status    last saved        age       archives  size     added    proven      recoverable until
blog   mariadb   failed    20 Nov 04:00 CET  2 days           5  1.2 GB   313 MB   never
      'backup'@'localhost' may not RELOAD (since 21 Nov)
mail   files     missing   never                              0                  never
wiki   files     unknown
      vault: connection refused
shop   files     ok        22 Nov 04:00 CET  10 min          17  12.4 GB  118 MB   2 days ago
shop   mariadb   ok        22 Nov 04:00 CET  10 min          17  38.1 GB  212 MB   2 days ago  22 Nov 04:05 CET
box: 612 GB of 1.1 TB used (56 %)
vault: space unknown: connection refused
3 of 5 need a look: blog mariadb failed, mail files missing, wiki files unknown"""


def test_the_table() -> None:
    # how wide a column is made is tabulate's affair
    assert squeezed(write(REPORT, "table", CET)) == squeezed(TABLE)


def squeezed(text: str) -> list[list[str]]:
    return [re.split(r" {2,}", line) for line in text.splitlines()]


def test_columns_stand_below_their_headers() -> None:
    header, *lines = write(REPORT, "table", CET).splitlines()

    assert all(line[header.index("size") - 1] == " " for line in (lines[0], lines[5], lines[6]))
    assert lines[5].index("12.4 GB") == header.index("size")
    assert lines[5].index("17") + 2 == header.index("archives") + len("archives")


def test_recoverable_until_is_shown_where_an_app_has_it() -> None:
    assert "recoverable" not in write(Report(NOW, (FILES,)), "table", CET)


def test_a_report_of_nothing_still_has_its_header() -> None:
    assert write(Report(NOW, ()), "table", CET).startswith("app")


def test_colours_only_where_asked_for_and_columns_stay() -> None:
    plain, coloured = write(REPORT, "table", CET), write(REPORT, "table", replace(CET, colour=True))

    assert "\033" not in plain
    assert "\033[31mfailed\033[0m" in coloured
    assert re.sub(r"\033\[\d+m", "", coloured) == plain


@pytest.mark.parametrize(
    ("terminal", "environment", "expected_colour"),
    [
        (True, {}, True),
        (False, {}, False),
        (True, {"NO_COLOR": "1"}, False),
        (True, {"NO_COLOR": ""}, True),
        (True, {"TERM": "dumb"}, False),
    ],
)
def test_when_to_colour(terminal: bool, environment: dict[str, str], expected_colour: bool) -> None:
    class Stream(io.StringIO):
        def isatty(self) -> bool:
            return terminal

    assert wants_colour(Stream(), environment) is expected_colour


def test_what_a_host_writes_cannot_steer_the_terminal_or_break_the_lines() -> None:
    row = replace(FAILED, error="\033[2Jgone\nok\r\x07" + "\u202e")

    text = write(Report(NOW, (row,), (replace(BOX, used=None, error="a\nb\033"),)), "table", CET)

    assert len(text.splitlines()) == 5
    assert all(character.isprintable() or character == "\n" for character in text)


def test_a_year_that_is_over_is_named() -> None:
    text = write(Report(NOW, (replace(FILES, last=NOW - timedelta(days=400)),)), "table", CET)

    assert "18 Oct 2025 05:10 CEST" in text


def test_the_json_is_exactly_what_is_documented() -> None:
    assert json.loads(write(REPORT, "json", CET)) == {
        "version": 1,
        "tool": VERSION,
        "generated": "2026-11-22T03:10:00Z",
        "apps": [
            as_json(
                OK,
                source="files",
                last="2026-11-22T03:00:00Z",
                last_good="2026-11-22T03:00:00Z",
                incomplete={"count": 0, "first": []},
                proven="2026-11-20T03:00:00Z",
                size=12_400_000_000,
                stored=118_000_000,
                recoverable_until=None,
            ),
            {
                "app": "shop",
                "host": "root@shop.example.org",
                "storage": "box",
                "source": "mariadb",
                "status": "ok",
                "archive": "shop-mariadb-2026-11-22T03-00-00",
                "last": "2026-11-22T03:00:00Z",
                "age_seconds": 600,
                "archives": 17,
                "size": 38_100_000_000,
                "stored": 212_000_000,
                "duration_seconds": 7.2,
                "proven": "2026-11-20T03:00:00Z",
                "recoverable_until": "2026-11-22T03:05:00Z",
                "error": None,
                "last_good": "2026-11-22T03:00:00Z",
                "incomplete": {"count": 0, "first": []},
                "suspect": None,
                "verdict_accepted": None,
                "read_share": None,
                "other_archives": None,
                "paused": None,
            },
            as_json(FAILED, last="2026-11-20T03:00:00Z", last_good="2026-11-20T03:00:00Z"),
            as_json(UNKNOWN),
            as_json(MISSING),
        ],
        "storages": [
            {"storage": "box", "kind": "storagebox", "used": 612_000_000_000, "size": 1_100_000_000_000, "error": None},
            {"storage": "vault", "kind": "ssh", "used": None, "size": None, "error": "connection refused"},
        ],
    }


def as_json(row: Row, **times: Any) -> dict[str, Any]:
    return vars(row) | times


def test_the_json_keeps_its_order_and_its_letters() -> None:
    text = write(Report(NOW, (replace(FAILED, error="Fehler ü"),)), "json", Look())

    assert list(json.loads(text)) == ["version", "tool", "generated", "apps", "storages"]
    assert "Fehler ü" in text


NOT_GOOD = (
    replace(OK, source="files", status="incomplete", incomplete=LeftOut(7, ("/srv/media: is not there",))),
    replace(OK, status="suspect", suspect="4 files, under half of the usual 20,000"),
    replace(
        OK,
        app="blog",
        incomplete=LeftOut(2, ("/srv/blog/a: cannot be read",)),
        verdict_accepted=Acceptance("ann@desk", NOW, "moved to the new disk"),
    ),
)


def test_the_verdict_reaches_programs() -> None:
    report = Report(NOW, NOT_GOOD)
    incomplete, suspect, accepted = json.loads(write(report, "json", CET))["apps"]

    assert incomplete["incomplete"] == {"count": 7, "first": ["/srv/media: is not there"]}
    assert suspect["suspect"] == "4 files, under half of the usual 20,000"
    assert accepted["verdict_accepted"] == {
        "by": "ann@desk",
        "time": "2026-11-22T03:10:00Z",
        "reason": "moved to the new disk",
    }
    rows = list(csv.DictReader(io.StringIO(write(report, "csv", CET))))
    assert [row["incomplete"] for row in rows] == ["7", "0", "2"]
    assert rows[2]["verdict_accepted"] == "ann@desk, 2026-11-22 03:10:00: moved to the new disk"


def test_people_read_the_worst_first() -> None:
    rows = tuple(replace(OK, app=status, status=status) for status in reversed(WORST_FIRST))

    lines = write(Report(NOW, rows), "table", CET).splitlines()[1:-1]

    assert [line.split()[0] for line in lines] == [
        "failed",
        "missing",
        "incomplete",
        "suspect",
        "late",
        "unknown",
        "paused",
        "ok",
    ]


ODD = """=HYPERLINK("http://x","y"), 'a' | `b` <script>alert(1)</script> *c* _d_ [e](http://f) & ~~g~~ \\ ü\r\n"""


def test_csv_has_the_fields_of_the_json_for_a_spreadsheet() -> None:
    rows = list(csv.DictReader(io.StringIO(write(REPORT, "csv", CET))))

    assert list(rows[0]) == list(json.loads(write(REPORT, "json", CET))["apps"][0])
    assert rows[0] | {"size": "12400000000", "last": "2026-11-22 03:00:00", "recoverable_until": ""} == rows[0]
    assert (rows[3]["status"], rows[3]["archives"], rows[4]["archives"]) == ("unknown", "", "0")
    assert (rows[3]["incomplete"], rows[3]["last_good"], rows[0]["incomplete"]) == ("", "", "0")
    assert rows[2]["error"] == "'backup'@'localhost' may not RELOAD (since 21 Nov)"


@pytest.mark.parametrize("start", [*"=+-@", "\t=", "\r=", "\n=", " =", "\u200b=", "\uff1d"])
def test_no_cell_is_a_formula(start: str) -> None:
    hostile = start + "cmd|' /C calc'!A0"
    row = replace(FAILED, app=hostile, host=hostile, storage=hostile, error=hostile)

    (cells,) = csv.DictReader(io.StringIO(write(Report(NOW, (row,)), "csv", CET)))

    assert not any(cell.lstrip().startswith(tuple("=+-@\uff1d")) for cell in cells.values())
    assert "calc" in cells["app"]


def test_csv_keeps_a_row_a_row() -> None:
    (cells,) = csv.DictReader(io.StringIO(write(Report(NOW, (replace(FAILED, error=ODD),)), "csv", CET)))

    assert cells["error"] == "'" + " ".join(ODD.split())


def rendered(text: str) -> list[Token]:
    return MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)


def inline(tokens: list[Token], kind: str) -> list[str]:
    """Return the texts in all elements of a kind; anything but text in one is an error."""
    inside = [after for token, after in pairwise(tokens) if token.type == kind]
    children = [[child for child in token.children or () if child.type != "text_special"] for token in inside]
    assert all(child.type in ("text", "strong_open", "strong_close") for each in children for child in each)
    return ["".join(child.content for child in token.children or ()) for token in inside]


def test_markdown_says_first_what_is_wrong_and_shows_the_table() -> None:
    text = write(REPORT, "markdown", CET)

    tokens = rendered(text)

    assert text.startswith("- **failed** blog mariadb: ")
    assert inline(tokens, "th_open")[:3] == ["app", "source", "status"]
    cells = inline(tokens, "td_open")
    assert (len(cells), cells[:4]) == (5 * 10, ["blog", "mariadb", "failed", "20 Nov 04:00 CET"])
    assert "box: 612 GB of 1.1 TB used (56 %)" in inline(tokens, "paragraph_open")


def test_markdown_shows_names_and_errors_as_they_are() -> None:
    row = replace(FAILED, app="<b>|`x`", error=ODD)

    tokens = rendered(write(Report(NOW, (row,), (replace(BOX, storage="a_b_*c*"),)), "markdown", CET))

    assert inline(tokens, "td_open")[0] == "<b>|`x`"
    wrong, box = inline(tokens, "paragraph_open")
    assert wrong == "failed <b>|`x` mariadb: " + " ".join(ODD.split())
    assert box.startswith("a_b_*c*: ")


@pytest.mark.parametrize("name", WRITERS)
def test_a_report_of_nothing_can_be_written_in_every_format(name: str) -> None:
    assert write(Report(NOW, ()), name, CET)


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page, link = tmp_path / "report.html", tmp_path / "link"
    write_whole(page, "old", "the report")
    page.chmod(0o604)
    link.symlink_to(page.name)

    write_whole(link, "new", "the report")

    assert (link.is_symlink(), page.read_text(), page.stat().st_mode & 0o777) == (True, "new", 0o604)
    monkeypatch.setattr(os, "fsync", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_whole(page, "half", "the report")
    assert (page.read_text(), sorted(tmp_path.iterdir())) == ("new", [link, page])


def test_a_file_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    for path, why in (
        (tmp_path / "none" / "x", "No such file"),
        (tmp_path, "directory"),
        (tmp_path / "loop", "(?:levels of symbolic|[Ll]oop)"),
    ):
        with pytest.raises(AppError, match=f"cannot write the report to .*{why}"):
            write_whole(path, "x", "the report")
    write_whole(Path("/dev/null"), "x", "the report")
    assert not Path("/dev/null").is_file()


def test_an_unknown_format_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"no format `jsno`; did you mean json\?"):
        write(REPORT, "jsno", CET)
    assert set(WRITERS) >= {"table", "json"}


@pytest.mark.parametrize("row", [replace(OK, status=status) for status in WORST_FIRST if status not in WELL])
def test_strict_makes_the_exit_code_tell(row: Row) -> None:
    report = Report(NOW, (OK, row))

    assert exit_code(report, strict=True) == 3
    assert exit_code(report, strict=False) == 0
    assert exit_code(Report(NOW, (OK,)), strict=True) == 0


def test_every_configured_source_is_expected() -> None:
    app = App.model_validate(
        {
            "name": "shop",
            "host": "shop",
            "passphrase": {"env": "X"},
            "storage": "box",
            "files": {"paths": ("/srv",)},
            "mariadb": {"binlog": True},
            "max_age": "2h",
            "compression": "lz4",
        }
    )

    assert [(each.app, each.host, each.storage, each.source, each.max_age) for each in expected(app)] == [
        ("shop", "shop", "box", source, timedelta(hours=2)) for source in ("files", "mariadb", "binlog")
    ]

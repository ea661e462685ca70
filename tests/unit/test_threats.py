"""The tables of docs/security.md name the tests that show what they say; those tests are there."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
LINES = (CHECKOUT / "docs/security.md").read_text().splitlines()


def rows() -> Iterator[list[str]]:
    """Yield the rows of the tables that have a column `shown by`, as cells."""
    table = False
    for line in LINES:
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if not line.startswith("|"):
            table = False
        elif cells[-1].strip(" |") == "shown by":
            table = True
        elif table and not re.fullmatch(r"[|\- ]+", line):
            yield cells


ROWS = list(rows())


def test_there_are_such_tables() -> None:
    assert len(ROWS) >= 14


@pytest.mark.parametrize("cells", ROWS, ids=lambda cells: cells[0][:40])
def test_each_danger_names_a_test_that_is_there(cells: list[str]) -> None:
    shown = cells[-1].strip(" |")
    if shown == "the same":
        return
    named = re.findall(r"`(tests/[^`]+)`", shown)
    assert named, shown
    for each in named:
        file, _, test = each.partition("::")
        place = CHECKOUT / file
        assert place.exists(), each
        files = [place] if place.is_file() else sorted(place.rglob("test_*.py"))
        assert files, each
        if test:
            assert re.search(rf"^def {test}\(", place.read_text(), re.MULTILINE), each

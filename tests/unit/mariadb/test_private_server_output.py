"""What is printed of a private server's answers, and what a person may write."""

import csv
import io
import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import AppError, UsageError
from tasks.mariadb.console import complete
from tasks.mariadb.host.serve import csv_line
from tasks.mariadb.query_result import Result
from tasks.mariadb.sql_dump import parsed, quoted
from tasks.run import raw_output

ANY: Collection[Any] = ("Cs",)
NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=ANY), min_size=1)
CELLS = st.text(st.characters(exclude_characters="\r\0", exclude_categories=ANY))


@given(NAMES, NAMES)
def test_quoted_names_are_read_as_they_were(database: str, table: str) -> None:
    assert parsed(quoted(database, table)) == (database, table)


@pytest.mark.parametrize("text", ["orders", "a.b.c", ".", "a.", "`a.b", "a`.`b`.c"])
def test_what_is_no_table_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parsed(text)


@given(st.lists(CELLS, min_size=1))
def test_a_line_of_csv_is_read_as_it_was(cells: list[str]) -> None:
    assert next(csv.reader(io.StringIO(csv_line(cells), newline=""))) == cells
    assert csv_line([None, "", 1]) == ',"",1\n'


@pytest.mark.parametrize("text", ["SELECT 1;", "SELECT 'it''s; \\' ';", "SELECT 1\n\\G", "SELECT 1; -- done", "USE a;"])
def test_a_statement_that_ends(text: str) -> None:
    assert complete(text)


@pytest.mark.parametrize(
    "text", ["SELECT 1", "SELECT 'a;", "SELECT 1 -- ;", "SELECT `a;", "SELECT /* ;", 'SELECT "\\";']
)
def test_a_statement_that_goes_on(text: str) -> None:
    assert not complete(text)


def test_a_result_keeps_columns_of_one_name_apart() -> None:
    found = Result(["id", "id", "id_2"], [[1, "x", None]])
    assert json.loads(found.shown("json")) == [{"id": 1, "id_2": "x", "id_2_": None}]
    assert found.shown("table").splitlines()[2].split() == ["1", "x", "NULL"]


@pytest.mark.parametrize(
    "text", ["{", "1\n", '[["a","b"]]\n[1,2]', '[["a","b"]]\n[[1]]', '[["a","b"]]\n[NaN]', "[[1,2]]"]
)
def test_an_answer_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(AppError):
        Result.read(text)


def write_half(target: Path) -> None:
    with raw_output.whole(str(target)) as receiver:
        receiver.take(b"half")
        raise AppError("cut")


def write_one() -> None:
    with raw_output.whole("") as receiver:
        receiver.take(b"x")
        assert receiver.full.is_set()


def test_a_file_is_whole_or_not_there(tmp_path: Path) -> None:
    target = tmp_path / "dump"
    with pytest.raises(AppError):
        write_half(target)
    assert not list(tmp_path.iterdir())
    with raw_output.whole(str(target)) as receiver:
        receiver.take(b"all")
        target.write_bytes(b"another's")
        receiver.take(b"")
        target.unlink()
    assert target.read_bytes() == b"all"
    with pytest.raises(UsageError), raw_output.whole(str(target)):
        pass


def test_a_full_disk_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with Path("/dev/full").open("wb", 0) as full:
        monkeypatch.setattr(raw_output, "standard_output", lambda: full)
        with pytest.raises(AppError, match="standard output cannot be written"):
            write_one()

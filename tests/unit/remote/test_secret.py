"""Secrets stay hidden, and come byte for byte from where the inventory says."""

import os
import select
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import UsageError
from tasks.remote import secret
from tasks.remote.script import Script, render
from tasks.remote.secret import Secret, resolve


@dataclass(frozen=True)
class Reference:
    env: str | None = None
    file: Path | None = None
    command: tuple[str, ...] | None = None


def test_a_secret_shows_itself_nowhere() -> None:
    secret = Secret("correct horse")
    shown = [str(secret), repr(secret), f"{secret}", f"{[secret]}", f"{secret.map(str.upper)}"]
    shown.append(Script("true", {"BORG_PASSPHRASE": secret}).shown())
    assert not any("horse" in text.lower() for text in shown)
    with pytest.raises(TypeError):
        "".join([secret])  # type: ignore[list-item]


def test_a_file_loses_its_trailing_line_end_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_bytes(b"  pass\\word with 'quotes' \r\n")
    assert resolve(Reference(file=file), "it").reveal() == "  pass\\word with 'quotes' "


def test_a_command_gives_its_output() -> None:
    assert resolve(Reference(command=("printf", "%s\\n", "geheim ü")), "it").reveal() == "geheim ü"


def test_an_environment_variable_is_taken_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_SECRET", " x ")
    assert resolve(Reference(env="SOME_SECRET"), "it").reveal() == " x "


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        (Reference(env="NOT_SET_ANYWHERE"), "NOT_SET_ANYWHERE is not set"),
        (Reference(file=Path("/nonexistent/secret")), "No such file"),
        (Reference(command=("sh", "-c", "echo locked >&2; exit 3")), "exit code 3\n  locked"),
        (Reference(command=("no-such-program",)), "cannot run"),
        (Reference(command=("true",)), "gives nothing"),
        (Reference(command=("printf", "a\\nb")), "more than one line"),
        (Reference(command=("printf", "a\\0b")), "more than one line"),
        (Reference(command=("printf", "\\377")), "no UTF-8"),
    ],
)
def test_what_gives_no_secret_is_told(reference: Reference, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        resolve(reference, "the passphrase of shop")
    assert "the passphrase of shop" in str(caught.value)
    assert says in str(caught.value)


def test_a_command_that_hangs_is_ended_with_all_that_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secret, "COMMAND_TIMEOUT", 1.0)
    monkeypatch.setattr(secret, "_has_terminal", lambda: False)
    os.mkfifo(tmp_path / "held")
    held = os.open(tmp_path / "held", os.O_RDONLY | os.O_NONBLOCK)
    hanging = ("sh", "-c", f"{{ echo runs; sleep 1000; }} >{tmp_path}/held & wait")
    with pytest.raises(UsageError, match=r"the passphrase of shop.* gave no answer within 1 seconds"):
        resolve(Reference(command=hanging), "the passphrase of shop")
    assert os.read(held, 99) == b"runs\n"
    assert select.select([held], [], [], 20)[0], "what the command started runs on"
    assert os.read(held, 99) == b""
    os.close(held)


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1))
def test_a_secret_reaches_the_script_and_not_what_is_shown(value: str) -> None:
    marked = "s3cr3t" + value
    script = Script("true", {"X": Secret(marked)})
    assert b"s3cr3t" in render(script).text
    assert "s3cr3t" not in script.shown()

"""Whatever a remedy tells a person to type is there: each `inv ...` in messages, help and programs parses as it stands."""

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from invoke.exceptions import ParseError
from invoke.parser import Parser

from tasks import ns

TASKS = Path(__file__).resolve().parents[2] / "tasks"
COMMAND = re.compile(r"`(?:\./)?inv (?P<words>[^`]+)`|(?<![\w`/])(?:\./)?inv (?P<bare>[a-z]+\.[a-z-]+)")


def texts(source: str) -> Iterator[str]:
    """Yield the texts of a program, those with values in them too: each value is X."""
    inside: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.JoinedStr):
            inside |= {id(part) for part in ast.walk(node)}
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "X" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside:
            yield node.value


def commands(source: str) -> list[str]:
    """Return the words after `inv` of each command in a source."""
    return [
        " ".join((found["words"] or found["bare"]).split())
        for text in texts(source)
        for found in COMMAND.finditer(text)
    ]


def fault(command: str) -> str:
    """Return what is wrong with a command, empty when nothing is."""
    told = command.partition("|")[0].removesuffix(" ...").replace(" X on", " --ssh on")
    words = shlex.split(re.sub(r"(?<=--app X) X$", "", told))  # an option that is chosen as it is printed
    try:
        parsed = Parser(contexts=ns.to_contexts()).parse_argv(words)
    except (ParseError, ValueError) as error:
        return str(error)
    return "" if parsed and parsed[0].name else "names no task"


FOUND = sorted(
    {
        (str(path.relative_to(TASKS)), each)
        for path in TASKS.rglob("*.py")
        for each in commands(path.read_text())
        if each[0].islower()
    }
)


def test_remedies_are_found() -> None:
    assert len(FOUND) > 40


@pytest.mark.parametrize(("file", "command"), FOUND)
def test_a_command_that_is_printed_can_be_typed(file: str, command: str) -> None:
    assert fault(command) == "", file


@pytest.mark.parametrize("command", ["borg.nothing", "prune --never", ""])
def test_one_that_cannot_be_typed_is_seen(command: str) -> None:
    assert fault(command)

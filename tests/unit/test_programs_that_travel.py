"""Programs that run on hosts: isolated from what lies there, and written for the oldest Python that hosts may have."""

import ast
import re
import sys
from pathlib import Path

import pytest

from tasks.app.programs import PYTHON

TASKS = Path(__file__).resolve().parents[2] / "tasks"
SENDS = re.compile(r"python3 (?:-[A-Za-z]+ )*-c\b")
# Standard library names that came after the least Python. What a program uses is held against this list, which is the
# part of "What's New in Python 3.9" to 3.13 that such programs could want.
LATER = {
    "removeprefix": "3.9",
    "removesuffix": "3.9",
    "zoneinfo": "3.9",
    "graphlib": "3.9",
    "tomllib": "3.11",
    "is_relative_to": "3.9",
    "readlink_path": "3.9",
    "hardlink_to": "3.10",
    "with_stem": "3.9",
    "bit_count": "3.10",
    "pairwise": "3.10",
    "batched": "3.12",
    "randbytes": "3.9",
    "waitstatus_to_exitcode": "3.9",
    "pidfd_open": "3.9",
    "to_thread": "3.9",
    "file_digest": "3.11",
    "chdir": "contextlib.chdir: 3.11",
    "aclosing": "3.10",
    "StrEnum": "3.11",
    "UTC": "datetime.UTC: 3.11",
    "ExceptionGroup": "3.11",
    "add_note": "3.11",
    "cache": "functools.cache: 3.9",
    "lcm": "3.9",
    "walk_path": "3.12",
    "splice": "3.10",
    "eventfd": "3.10",
    "bisect_key": "3.10",
    "TypeAlias": "3.10",
    "ParamSpec": "3.10",
    "Annotated": "3.9",
    "Self": "3.11",
    "override": "3.12",
}
FREE = {("os", "chdir")}  # the same name elsewhere has been there for ever


def programs() -> list[Path]:
    """Return the files that are sent: those that say so, and all in folders named `host`."""
    named = {
        *("tasks/borg/in_place.py", "tasks/borg/reading.py"),
        *(
            "tasks/storage/published/host/publish.py",
            "tasks/storage/published/host/plan.py",
            "tasks/storage/published/host/refill.py",
        ),
        "tasks/storage/published/host/segments.py",
    }
    found = [path for path in sorted(TASKS.rglob("*.py")) if says_that_it_travels(path) or path.parent.name == "host"]
    return sorted({*found, *(TASKS.parent / name for name in named if (TASKS.parent / name).exists())})


def says_that_it_travels(path: Path) -> bool:
    said = ast.get_docstring(ast.parse(path.read_text())) or ""
    return "Python 3.8" in said or SENDS.search(said) is not None


def outdated(text: str) -> list[str]:
    """Return what a program uses that the least Python has not; a future import lets annotations be of any age."""
    tree = ast.parse(text, feature_version=PYTHON)
    found = []
    for node in ast.walk(tree):
        name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
        owner = node.value.id if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) else ""
        if isinstance(node, ast.ImportFrom):
            found += [alias.name for alias in node.names if alias.name in LATER]
        elif name in LATER and (owner, name) not in FREE and isinstance(node, ast.Attribute):
            found.append(name)
        if isinstance(node, ast.Call) and any(word.arg == "strict" for word in node.keywords):
            found += [
                f"{node.func.id}(strict=)" for _ in [0] if isinstance(node.func, ast.Name) and node.func.id == "zip"
            ]
        if isinstance(node, ast.Match):
            found.append("match")
    return found


def subscripted(text: str) -> list[str]:
    """Return the generic types that a program evaluates and that Python 3.8 cannot subscript; annotations are texts."""
    tree = ast.parse(text)
    generic = {"list", "dict", "tuple", "set", "frozenset", "type"}
    inside: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module in ("collections", "collections.abc"):
            generic |= {alias.asname or alias.name for alias in node.names}
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            inside |= {id(each) for each in ast.walk(node)}
        for name in ("annotation", "returns"):
            if (said := getattr(node, name, None)) is not None:
                inside |= {id(each) for each in ast.walk(said)}
    return [
        node.value.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name)
        if node.value.id in generic and id(node) not in inside
    ]


@pytest.mark.parametrize("path", programs(), ids=lambda path: str(path.relative_to(TASKS)))
def test_a_program_subscripts_only_what_the_least_python_can(path: Path) -> None:
    assert subscripted(path.read_text()) == []


def test_a_type_that_is_evaluated_is_seen() -> None:
    assert subscripted("from collections.abc import Callable\nMatches = Callable[[str], bool]") == ["Callable"]
    assert subscripted("def f(x: list[int]) -> dict[str, int]:\n    y: set[int] = set()") == []
    assert subscripted("Pairs = list[int]") == ["list"]


def test_programs_are_found() -> None:
    assert len(programs()) > 8


@pytest.mark.parametrize("path", programs(), ids=lambda path: str(path.relative_to(TASKS)))
def test_a_program_runs_on_the_least_python(path: Path) -> None:
    assert outdated(path.read_text()) == []
    imported = {
        name.split(".")[0]
        for node in ast.walk(ast.parse(path.read_text()))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported <= {*sys.stdlib_module_names, "tasks"}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("'a'.removeprefix('b')", ["removeprefix"]),
        ("from functools import cache", ["cache"]),
        ("zip([], [], strict=True)", ["zip(strict=)"]),
        ("import os; os.chdir('/')", []),
    ],
)
def test_what_is_too_new_is_seen(text: str, found: list[str]) -> None:
    assert outdated(text) == found


def test_syntax_that_is_too_new_is_seen() -> None:
    with pytest.raises(SyntaxError):
        outdated("match x:\n    case 1: pass")


def sent_otherwise(text: str) -> list[str]:
    """Return the commands in a source's texts, its documentation left out, that start a program without isolation."""
    tree = ast.parse(text)
    said = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    texts = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said
    ]
    loose = [found[0] for each in texts for found in SENDS.finditer(each) if "-I -S " not in found[0]]
    tuples = [
        [part.value for part in node.elts if isinstance(part, ast.Constant)]
        for node in ast.walk(tree)
        if isinstance(node, ast.Tuple | ast.List)
    ]
    return loose + [
        " ".join(map(str, words[:3]))
        for words in tuples
        if words[:1] == ["python3"] and "-c" in words and words[1:3] != ["-I", "-S"]
    ]


@pytest.mark.parametrize(
    "path",
    [path for path in sorted(TASKS.rglob("*.py")) if path.relative_to(TASKS).parts[0] not in ("lab", "bench")],
    ids=lambda path: str(path.relative_to(TASKS)),
)
def test_every_program_is_sent_isolated(path: Path) -> None:
    """A stray json.py in a login's home would run otherwise, as whoever logs in."""
    assert sent_otherwise(path.read_text()) == []


def test_a_program_that_is_not_isolated_is_seen() -> None:
    assert sent_otherwise("x = 'python3 -c \"$PROGRAM\"'") == ["python3 -c"]
    assert sent_otherwise("x = ('python3', '-c', 'pass')") == ["python3 -c pass"]
    assert sent_otherwise("x = ('python3', '-I', '-S', '-c', 'pass')") == []


# What busybox's tools answer otherwise than GNU's: its `date +%N` gives no fraction, its `find` knows no -printf.
GNU_ALONE = re.compile(r"date [^\n)]*%N|find [^\n]*-printf|xargs -d|grep -P|readlink -[em]\b")


@pytest.mark.parametrize(
    "path",
    sorted([*TASKS.rglob("*.py"), *TASKS.rglob("*.sh")]),
    ids=lambda path: str(path.relative_to(TASKS)),
)
def test_scripts_do_with_the_tools_of_small_hosts(path: Path) -> None:
    """A drill on a host with busybox's `date` failed for its JSON."""
    assert GNU_ALONE.findall(path.read_text()) == []


def test_a_tool_of_gnu_alone_is_seen() -> None:
    assert GNU_ALONE.findall("began=$(date +%s.%N)") == ["date +%s.%N"]

"""A kind of storage is known in the room `storage` alone, and what is particular to boxes in `storagebox`."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.storage.base import Storage
from tasks.storage.registry import KINDS

TASKS = Path(__file__).resolve().parents[3] / "tasks"
OWN = {"storagebox": {"storagebox", "StorageBox"}}  # a room, and which kind it is there for


def _with_subclasses(of: type) -> Iterator[str]:
    yield of.__name__
    below: list[type] = of.__subclasses__()
    for each in below:
        yield from _with_subclasses(each)


CLASSES = {*_with_subclasses(Storage), *(kind.config.__name__ for kind in KINDS.values())} - {"Storage"}


def _asks_for_a_class(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("isinstance", "issubclass"):
        names = {
            each.id if isinstance(each, ast.Name) else each.attr
            for each in ast.walk(node.args[1])
            if isinstance(each, ast.Name | ast.Attribute)
        }
        yield from names & CLASSES


def _texts(node: ast.AST) -> set[str]:
    return {each.value for each in ast.walk(node) if isinstance(each, ast.Constant) and isinstance(each.value, str)}


def _names_a_kind(node: ast.AST) -> Iterator[str]:
    """Yield kinds that something called `kind` is compared with, and kinds that are listed together."""
    if isinstance(node, ast.Compare):
        sides = [node.left, *node.comparators]
        if any(ast.unparse(side).rstrip("]'\"").endswith("kind") for side in sides):
            yield from set().union(*map(_texts, sides)) & set(KINDS)
    elif isinstance(node, ast.List | ast.Tuple | ast.Set | ast.Dict):
        listed = [*node.keys, *node.values] if isinstance(node, ast.Dict) else node.elts
        found = {str(each.value) for each in listed if isinstance(each, ast.Constant)} & set(KINDS)
        yield from found if len(found) > 1 else ()
    elif isinstance(node, ast.Constant) and node.value in (
        "storagebox",
        "s3",
    ):  # the others are words of other things, too
        yield str(node.value)


def found(source: str) -> set[str]:
    """Return which kinds and classes of storage a text of Python asks for."""
    return {name for node in ast.walk(ast.parse(source)) for name in (*_asks_for_a_class(node), *_names_a_kind(node))}


def test_no_other_room_asks_which_kind_a_storage_is() -> None:
    wrong = {
        str(path.relative_to(TASKS)): names
        for path in sorted(TASKS.rglob("*.py"))
        if (room := path.relative_to(TASKS).parts[0]) != "storage"
        if (names := found(path.read_text()) - OWN.get(room, set()))
    }
    assert not wrong


@pytest.mark.parametrize(
    "source",
    [
        "if isinstance(storage, SshServer): pass",
        "if isinstance(config, ssh.SshStorage | StorageBox): pass",
        "if storage.kind != 'local': pass",
        "if data['kind'] in ('ssh',): pass",
        "KINDS = ('local', 'sftp')",
        "NAMES = {'ssh': 1, 'local': 2}",
        "if name == 's3': pass",
    ],
)
def test_such_a_question_is_seen_in_every_form(source: str) -> None:
    assert found(source)


@pytest.mark.parametrize(
    "source", ["if app.host == 'local': pass", "words = ['ssh', '-T']", "isinstance(error, AppError)"]
)
def test_the_same_words_of_other_things_are_not(source: str) -> None:
    assert not found(source)

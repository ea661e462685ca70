"""The import rule: which room may know which. It keeps data flowing one way and rooms replaceable."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
TASKS = CHECKOUT / "tasks"

LEAVES = {
    "answers",
    "crash",
    "encodable",
    "errors",
    "cli",
    "completion",
    "files",
    "json_output",
    "options",
    "terminal",
    "times",
    "units",
    "version",
}
"""Modules that know no room, so every room may know them."""

GROUND = {"inventory", "remote", "records", "sources.kinds"}
MAY_KNOW = {
    "containers": {"inventory", "remote"},
    "inventory": {"mariadb.config", "sources.keys"},
    "remote": set(),
    "notify": {"inventory", "remote"},
    "records": {"inventory", "remote", "sources.kinds"},
    "storage": GROUND,
    "run": {*GROUND, "storage", "notify"},
    "storagebox": {*GROUND, "storage", "run"},
    "borg": {*GROUND, "storage", "run", "storagebox", "containers"},
    "mariadb": {*GROUND, "storage", "run", "borg", "containers", "sources.base"},
    "sources": {*GROUND, "storage", "run", "borg", "containers", "mariadb"},
    "report": {*GROUND, "storage", "run", "borg", "sources", "notify"},
    "fleet": {*GROUND, "storage", "run", "borg", "mariadb.recovery_plan", "sources", "notify"},
    "schedule": {*GROUND, "storage", "run", "sources", "fleet"},
    "app": {*GROUND, "storage", "run", "borg", "containers", "sources", "storagebox", "fleet", "report"},
}
"""From the ground up. `room.module` lets a room know that module alone."""


def imported_names(source: str, module: str) -> Iterator[str]:
    """Yield the full dotted names that a module of this project imports; `from a import b` gives `a.b`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = module.split(".")[: -node.level] if node.level else []
            start = ".".join((*package, *([node.module] if node.module else [])))
            yield from (f"{start}.{alias.name}" for alias in node.names)


def modules_known(path: Path) -> set[str]:
    """Return what a file imports of `tasks` outside of its own room, as `leaf` or `room.module`."""
    module = ".".join(path.relative_to(CHECKOUT).with_suffix("").parts)
    names = (name.split(".") for name in imported_names(path.read_text(), module))
    own = path.relative_to(TASKS).parts[0]
    return {".".join(name[1:3]) for name in names if name[0] == "tasks" and len(name) > 1 and name[1] != own}


def rooms_known(path: Path) -> set[str]:
    """Return the rooms (or leaves) of `tasks` that a file imports from, its own left out."""
    return {name.split(".")[0] for name in modules_known(path)}


ROOMS = sorted(folder.name for folder in TASKS.iterdir() if (folder / "__init__.py").is_file())


def test_every_room_has_a_rule() -> None:
    assert set(ROOMS) == set(MAY_KNOW)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_what_it_may_know(room: str) -> None:
    wrong = {
        str(path.relative_to(CHECKOUT)): sorted(more)
        for path in sorted((TASKS / room).rglob("*.py"))
        if (
            more := [name for name in modules_known(path) if not {name, name.split(".")[0]} & (LEAVES | MAY_KNOW[room])]
        )
    }
    assert not wrong


def test_nothing_but_the_wiring_knows_the_lab() -> None:
    knows = {
        str(path.relative_to(TASKS))
        for path in TASKS.rglob("*.py")
        if any(name.split(".")[0] in {"lab", "tests"} for name in imported_names(path.read_text(), "tasks"))
    }
    assert knows == {"__init__.py"}


def test_leaves_import_no_room() -> None:
    assert rooms_known(TASKS / "errors.py") == set()
    assert rooms_known(TASKS / "units.py") <= {"terminal"}
    assert rooms_known(TASKS / "cli.py") <= {"crash", "errors", "terminal"}


def test_the_program_imports_nothing_of_this_project() -> None:
    assert rooms_known(TASKS / "program.py") == set()


def task_names(room: str) -> set[str]:
    """Return the names of the functions in a room's `__init__.py` that are Invoke tasks."""
    tree = ast.parse((TASKS / room / "__init__.py").read_text())
    return {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and any("task" in ast.unparse(mark) for mark in node.decorator_list)
    }


def _is_module(name: str) -> bool:
    """Whether a task's work is in a file of its name: `import room.task as room_task` means that one."""
    return (CHECKOUT / f"{name.replace('.', '/')}.py").is_file()


def test_nobody_imports_a_task_of_another_room() -> None:
    tasks = {f"tasks.{room}.{name}" for room in ROOMS for name in task_names(room)}
    assert tasks, "no task was found: the check would prove nothing"
    wrong = [
        (str(path.relative_to(CHECKOUT)), name)
        for path in sorted(TASKS.glob("*/**/*.py"))
        for name in imported_names(path.read_text(), ".".join(path.relative_to(CHECKOUT).with_suffix("").parts))
        if name in tasks and not _is_module(name) and name.split(".")[1] != path.relative_to(TASKS).parts[0]
    ]
    assert not wrong


def test_invoke_and_fabric_stay_where_they_belong() -> None:
    """Only `remote` reaches hosts; below a task function no Invoke context travels."""
    users = {
        str(path.relative_to(TASKS))
        for path in TASKS.rglob("*.py")
        if any(name.split(".")[0] == "fabric" for name in imported_names(path.read_text(), "tasks"))
    }
    assert all(user.startswith("remote/") for user in users), users


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("import tasks.borg.create", {"tasks.borg.create"}),
        ("from tasks import borg", {"tasks.borg"}),
        ("from tasks.borg import create as c", {"tasks.borg.create"}),
        ("from . import align", {"tasks.mariadb.align"}),
        ("from ..borg import create", {"tasks.borg.create"}),
        ("def f():\n    import tasks.borg", {"tasks.borg"}),
    ],
)
def test_imports_are_seen_in_every_form(source: str, names: set[str]) -> None:
    assert set(imported_names(source, "tasks.mariadb.backup")) == names

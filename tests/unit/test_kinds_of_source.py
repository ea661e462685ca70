"""No room but `sources` and `mariadb` names a kind of source: the rules of a kind are its own."""

import ast
from pathlib import Path

from tasks.sources.kinds import KINDS
from tasks.sources.registry import SOURCES

TASKS = Path(__file__).resolve().parents[2] / "tasks"
OWN = ("sources/", "mariadb/")
NAMING = {
    "__init__.py": {"mariadb"},  # the collection of the tasks `mariadb.*`
    "fleet/__init__.py": {"mariadb", "binlog"},  # these tasks, which are for one source each
    "completion.py": {"files", "mariadb", "binlog", "dumps"},  # words that are typed
    "app/borgmatic/databases.py": {"mariadb", "dumps"},  # keys of the file that they write
    "app/borgmatic/translation.py": {"files"},
    "app/new_app.py": {"files", "mariadb", "binlog"},  # keys of the file that it writes
}
"""Where a command's or a key's own name is that of a kind."""
COUNTS = {
    "app/apps.py": "the head of a column",
    "borg/client/create.py": "borg's own name of its cache",
    "borg/host/walk.py": "how many",
    "fleet/found.py": "how many",
    "fleet/recorder.py": "how many",
    "records/gone.py": "how many",
    "borg/host/restore.py": "how many",
    "borg/host/sample.py": "how many",
    "records/suspect.py": "how many",
}
"""Where `files` is the plain word, and no source."""


def named_in(path: Path) -> set[str]:
    """Return the kinds that stand in a module as text of their own, or by their constant in `kinds`."""
    tree = ast.parse(path.read_text())
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    imported = {
        alias.name.lower()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "tasks.sources.kinds"
        for alias in node.names
    }
    return (texts | imported) & set(KINDS)


def test_no_other_room_names_a_kind() -> None:
    modules = {str(path.relative_to(TASKS)): named_in(path) for path in sorted(TASKS.rglob("*.py"))}
    outside = {name: kinds for name, kinds in modules.items() if kinds and not name.startswith(OWN)}
    assert outside == {**NAMING, **{name: {"files"} for name in COUNTS}}


def test_every_kind_is_registered() -> None:
    assert list(SOURCES) == list(KINDS)
    assert all(SOURCES[name].kind is kind for name, kind in KINDS.items())


def test_logs_continue_a_source_that_is_saved_before_them() -> None:
    names = list(KINDS)
    assert all(names.index(kind.continues) < names.index(name) for name, kind in KINDS.items() if kind.continues)


def test_a_name_in_a_module_is_seen(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text(
        'from tasks.sources.kinds import BINLOG\nif source == "mariadb":\n    pass\n"""files"""\nx = "a file"\n'
    )
    assert named_in(module) == {"binlog", "mariadb", "files"}

"""What the Tab key offers: tasks, options, and values out of the inventory and this machine's cache. Asks no network.

`inv --complete -- WORDS` prints it; the scripts in `shells/` call that. Nothing is validated here: a file that cannot
be read offers nothing.
"""

import json
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from invoke.parser.context import ParserContext

LARGEST = 16 << 20  # bytes of a file that is read
# What is offered, since a shell puts it on the command line as it is: an archive's name may come from a hostile host.
PLAIN = re.compile(r"[\w.:@%+,=/~-]+")
FORMATS = {
    "report": ("table", "json", "csv", "markdown", "html", "prometheus"),
    "report.show": ("table", "json", "csv", "markdown", "html", "prometheus"),
    "mariadb.dump": ("sql", "csv"),
    "mariadb.open": ("table", "csv", "json"),
}
MOMENTS = ("latest", "yesterday")
ACTIONS = ("backup", "verify", "prune", "check", "restore", "report.accept", "rollback", "compact", "delete")
OWN = ("files", "mariadb", "binlog", "dumps")


@dataclass(frozen=True)
class Line:
    """A command line as far as it is typed: the words after the program's name, the last one perhaps empty."""

    words: Sequence[str]
    contexts: Mapping[str, ParserContext]
    inventory: Path

    @property
    def task(self) -> str:
        """The last task on it; empty if there is none yet."""
        return next((word for word in reversed(self.words[:-1]) if word in self.contexts), "")

    def given(self, option: str) -> list[str]:
        """Return the values of an option so far."""
        named = [after for before, after in zip(self.words, self.words[1:-1], strict=False) if before == f"--{option}"]
        return [*named, *(word.partition("=")[2] for word in self.words[:-1] if word.startswith(f"--{option}="))]


def candidates(line: Line, core: Iterable[str]) -> list[str]:
    """Return what may stand in the place of the last word; `core` are the options before the first task."""
    last = line.words[-1] if line.words else ""
    context = line.contexts.get(line.task)
    if context is None:
        offered = core if last.startswith("-") else line.contexts
        return _fitting(offered, last)
    option, typed, prefix = _value(line, context, last)
    if option:
        return [f"{prefix}{value}" for value in _fitting(_values(line, option), typed)]
    flags = [flag for flag in context.flag_names() if flag.startswith("--")]
    return _fitting(flags, last) if last.startswith("-") or not last else []


def _value(line: Line, context: ParserContext, last: str) -> tuple[str, str, str]:
    """Return the option whose value is typed (empty: none), what is typed of it, and what stands before that."""
    before = list(line.words[:-1])
    if last == "=":  # bash takes this sign for a word
        before, last = [*before, "="], ""
    if before[-1:] == ["="]:
        before.pop()
    flag, sign, typed = last.partition("=")
    if sign and _takes(context, flag):
        return context.flags[flag].name or "", typed, f"{flag}="
    if before and _takes(context, before[-1]):
        return context.flags[before[-1]].name or "", last, ""
    if _takes(context, last):  # a script that drops the empty word at the end
        return context.flags[last].name or "", "", ""
    return "", "", ""


def _takes(context: ParserContext, flag: str) -> bool:
    return flag.startswith("-") and flag in context.flags and bool(context.flags[flag].takes_value)


def _fitting(offered: Iterable[str], typed: str) -> list[str]:
    return sorted({each for each in offered if each.startswith(typed) and PLAIN.fullmatch(each)})


def _values(line: Line, option: str) -> Iterable[str]:
    known: Mapping[str, Callable[[Line], Iterable[str]]] = {
        "app": lambda line: _apps(line.inventory),
        "tag": _tags,
        "storage": _storages,
        "source": _sources,
        "format": lambda line: FORMATS.get(line.task, ("table", "json")),
        "archive": _archives,
        "first": _archives,
        "second": _archives,
        "to": lambda line: ("local", *_apps(line.inventory)) if line.task != "borg.rollback" else (),
        "action": lambda _: ACTIONS,
    }
    return known[option](line) if option in known else ()


def _apps(inventory: Path) -> list[str]:
    return [file.stem for file in sorted((inventory / "apps").glob("*.yml")) if not file.name.startswith(".")]


def _main(line: Line) -> Mapping[str, Any]:
    return _yaml(line.inventory / "cloudbackup.yml")


def _storages(line: Line) -> Iterable[str]:
    storages = _main(line).get("storages")
    return map(str, storages) if isinstance(storages, dict) else ()


def _chosen(line: Line) -> list[Mapping[str, Any]]:
    names = line.given("app") or _apps(line.inventory)
    return [_yaml(line.inventory / "apps" / f"{name}.yml") for name in names if "/" not in name]


def _tags(line: Line) -> Iterable[str]:
    for name in _apps(line.inventory):
        tags = _yaml(line.inventory / "apps" / f"{name}.yml").get("tags") or ()
        yield from map(str, tags) if isinstance(tags, list) else [str(tags)] if tags else ()


def _sources(line: Line) -> Iterable[str]:
    for app in _chosen(line):
        dumps = app.get("dumps")
        database = app.get("mariadb")
        yield from (each for each in OWN if each in app)
        yield from map(str, dumps) if isinstance(dumps, dict) else ()
        if isinstance(database, dict) and database.get("binlog"):
            yield "binlog"


def _archives(line: Line) -> Iterable[str]:
    """Yield the archives that the last report on this machine listed."""
    yield from MOMENTS
    place = _expanded(str(_main(line).get("cache") or "~/.cache/cloudbackup")) / "report"
    for name in line.given("app") or _apps(line.inventory):
        for file in place.glob(f"*/{name}.json") if "/" not in name and "*" not in name else ():
            try:
                archives = json.loads(_read(file).partition(b"\n")[2]).get("archives") or ()
                yield from (str(each[0]) for each in archives)
            except (OSError, ValueError, AttributeError, TypeError, LookupError):
                continue


def _yaml(file: Path) -> Mapping[str, Any]:
    import yaml

    try:
        loader = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
        values = yaml.load(_read(file), Loader=loader)  # noqa: S506  # a safe one
    except (OSError, ValueError, yaml.YAMLError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}


def _read(file: Path) -> bytes:
    if not file.is_file():
        return b""
    with file.open("rb") as opened:
        return opened.read(LARGEST)


def inventory(configured: str) -> Path:
    """Return the inventory's folder: that of the environment, or the configured one."""
    return _expanded(os.environ.get("INVOKE_INVENTORY") or configured)


def _expanded(path: str) -> Path:
    try:
        return Path(path).expanduser()
    except RuntimeError:  # of a user that is not known
        return Path(path)

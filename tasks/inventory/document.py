"""Loads a YAML file as plain data with the line of every key; what YAML silently misreads is refused.

Scalars follow YAML 1.2, as editors do: only `true` and `false` are booleans; `on`, `yes` and `12:30` are texts.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from tasks.inventory.errors import KeyPath, Problem, shown

Data = dict[str, "Data"] | list["Data"] | str | int | float | bool | None

LARGEST = 1_000_000  # bytes; an inventory is not larger
MOST_VALUES = 20_000  # aliases of aliases can expand a small file to a huge one
DEEPEST = 50
OPEN = 1000  # brackets and braces that may be open at one place, those in texts and comments too
TOO_DEEP = "is nested too deeply, or holds itself through an alias"
SURROGATE = re.compile("[\ud800-\udfff]")
INTEGER = re.compile(r"[-+]?[0-9]{1,18}")
FLOAT = re.compile(r"[-+]?(?:[0-9]+[.][0-9]*|[.][0-9]+|[0-9]+)(?:[eE][-+]?[0-9]{1,3})?")
_CORE = ("str", "int", "float", "bool", "null", "timestamp", "value", "merge")
CORE_TAGS = {f"tag:yaml.org,2002:{name}" for name in _CORE}
QUOTE = "a text that begins with * & ! % @ ` { [ or holds `: ` or ` #` stands in quotes"


@dataclass
class Document:
    """A file's content (`data`, None if unusable), the line of each key's path, and the problems found."""

    file: Path
    data: Data = None
    lines: dict[KeyPath, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    faulty: set[KeyPath] = field(default_factory=set)

    def add(self, path: KeyPath, text: str, line: int | None = None) -> None:
        """Record a problem at a key, on its line or the nearest key's above it; only the first one per key is kept."""
        if path in self.faulty and line is None:
            return
        self.faulty.add(path)
        self.problems.append(Problem(self.file, self.line(path) if line is None else line, shown(path), text))

    def line(self, path: KeyPath) -> int:
        """Return the line of a key, or of the nearest key above it in the file; 1 for the file as a whole."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def read(file: Path) -> Document:
    """Read a YAML file. Raises nothing: all errors are in the document's `problems`."""
    document = Document(file)
    text = _text(document)
    if text is None:
        return document
    try:
        if _too_deep(text):
            document.add((), TOO_DEEP, 0)
            return document
        node = _quickly(text) or yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        line, what = _explain(error, text)
        document.add((), what, line)
    except (RecursionError, ValueError, OverflowError):  # PyYAML lets some through, for example for \U99999999
        document.add((), "is not valid YAML", 0)
    else:
        if node is None:
            document.add((), "is empty", 0)
        else:
            _fill(document, node)
    return document


def _text(document: Document) -> str | None:
    try:
        if document.file.exists() and not (
            document.file.is_file() or document.file.is_dir()
        ):  # a FIFO would block, a device never ends
            document.add((), "is not a regular file", 0)
            return None
        with document.file.open("rb") as file:
            content = file.read(LARGEST + 1)
    except FileNotFoundError:
        document.add((), "does not exist", 0)
    except OSError as error:
        document.add((), f"cannot be read: {error.strerror}", 0)
    else:
        if len(content) > LARGEST:
            document.add((), "is larger than 1 MB: this is not an inventory file", 0)
            return None
        try:
            return content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = content[: error.start].count(b"\n") + 1
            document.add((), "is not UTF-8 here: save the file in that encoding", line)
    return None


def _too_deep(text: str) -> bool:
    """Return whether more is open at one place than any inventory has: PyYAML takes minutes for 1 MB of `[`."""
    depth = 0
    for found in re.finditer(r"[\[\]{}]", text):
        depth = max(0, depth + (1 if found[0] in "[{" else -1))
        if depth > OPEN:
            return True
    return False


def _quickly(text: str) -> yaml.Node | None:
    """Return the document's node, composed by libyaml, ten times as fast; None leaves it to PyYAML's own parser.

    That parser words its errors, and survives deep nesting: libyaml's composer would crash, so depth is checked first.
    """
    if not yaml.__with_libyaml__:
        return None
    try:
        depth = 0
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > DEEPEST:
                return None
        return yaml.compose(text, Loader=yaml.CSafeLoader)
    except (yaml.YAMLError, ValueError):
        return None


def _explain(error: yaml.YAMLError, text: str) -> tuple[int, str]:
    """Return the line and one sentence for a syntax error.

    It never quotes the file: PyYAML's sentences about aliases, anchors and tags do, so these are replaced.
    """
    if isinstance(error, yaml.reader.ReaderError):
        return text[: error.position].count("\n") + 1, "holds a character that YAML does not allow"
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    line = mark.line + 1 if mark else 0
    problem = getattr(error, "problem", None) or ""
    context = getattr(error, "context", None) or ""
    if "'\\t'" in problem:
        return line, "a tab: YAML wants spaces"
    if "tag" in problem or "tag" in context:
        return line, f"has a YAML tag, which means nothing here: {QUOTE}"
    if "alias" in problem or "alias" in context or "anchor" in context:
        return line, f"is read as an anchor or alias: {QUOTE}"
    if "single document" in context:
        return line, "a second document begins here (`---`): one file holds one"
    return line, f"is not valid YAML: {problem.replace('<', '').replace('>', '') or 'cannot be parsed'} ({QUOTE})"


def _fill(document: Document, node: yaml.Node) -> None:
    reader = _Reader(document)
    try:
        document.data = reader.value(node, ())
    except (_TooMuchError, RecursionError):
        document.add((), TOO_DEEP, 0)
    if not isinstance(document.data, dict):
        if not document.problems:
            document.add((), "must hold `key: value` lines", 0)
        document.data = None


class _TooMuchError(Exception):
    """The file expands to more values than any inventory has."""


class _Reader:
    """Turns nodes into data, and records lines and problems."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.values = 0

    def value(self, node: yaml.Node, path: KeyPath) -> Data:
        self.values += 1
        if self.values > MOST_VALUES:
            raise _TooMuchError
        self.document.lines.setdefault(path, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            return {key: self.value(child, (*path, key)) for key, child in self.pairs(node, path)}
        if isinstance(node, yaml.SequenceNode):
            self.check_tag(node, path, {"tag:yaml.org,2002:seq"})
            return [self.value(child, (*path, index)) for index, child in enumerate(node.value)]
        assert isinstance(node, yaml.ScalarNode)  # PyYAML has only these three
        return self.scalar(node, path)

    def pairs(self, node: yaml.MappingNode, path: KeyPath) -> Iterator[tuple[str, yaml.Node]]:
        self.check_tag(node, path, {"tag:yaml.org,2002:map"})
        first: dict[str, int] = {}
        for key_node, child in node.value:
            line = key_node.start_mark.line + 1
            key = key_node.value
            if not isinstance(key_node, yaml.ScalarNode) or not _is_unicode(key):
                self.document.add(path, f"a key must be a plain word: {QUOTE}", line)
            elif key in first:
                self.document.add((*path, key), f"is there twice, first in line {first[key]}", line)
            else:
                first[key] = line
                self.document.lines[(*path, key)] = line
                yield key, child

    def check_tag(self, node: yaml.Node, path: KeyPath, allowed: set[str]) -> bool:
        if node.tag in allowed:
            return True
        self.document.add(path, f"has a YAML tag, which means nothing here: {QUOTE}", node.start_mark.line + 1)
        return False

    def scalar(self, node: yaml.ScalarNode, path: KeyPath) -> Data:
        line = node.start_mark.line + 1
        if not self.check_tag(node, path, CORE_TAGS):
            return None
        if not _is_unicode(node.value):
            self.document.add(path, "is not valid Unicode", line)
            return None
        data = node.value if node.style or node.tag.endswith(":str") else _plain(node.value)
        if data is None:
            self.document.add(path, "is empty: write a value, or take the line out", line)
        return data


def _is_unicode(text: object) -> bool:
    return isinstance(text, str) and not SURROGATE.search(text)


def _plain(text: str) -> Data:
    """Return the value of an unquoted scalar in YAML 1.2 (core schema), without octal and hexadecimal numbers."""
    if text in ("", "~", "null", "Null", "NULL"):
        return None
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    if INTEGER.fullmatch(text):
        return int(text)
    return float(text) if FLOAT.fullmatch(text) else text

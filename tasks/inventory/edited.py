"""Changes one key of a YAML file that a person wrote; comments and all other lines stay as they are."""

import yaml

from tasks.errors import AppError
from tasks.inventory.document import Data


def with_key(text: str, key: str, value: Data) -> str:
    """Return the text with a top-level key set to a value, or without the key for None.

    Raises AppError if that is not all that would change, as in a file that uses anchors across keys.
    """
    before = yaml.safe_load(text)
    expected = {name: each for name, each in before.items() if name != key} | ({} if value is None else {key: value})
    written = "" if value is None else f"{key}: {_inline(value)}"
    changed = _changed(text, key, written)
    try:
        after = yaml.safe_load(changed)
    except yaml.YAMLError:
        after = None
    if after != expected:
        raise AppError(f"`{key}` cannot be changed in this file", f"write `{written or f'no {key}'}` into it by hand")
    return changed


def _inline(value: Data) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, allow_unicode=True, width=10_000)
    return text.removesuffix("\n").removesuffix("\n...")


def _changed(text: str, key: str, written: str) -> str:
    node = yaml.compose(text)
    pairs = node.value if isinstance(node, yaml.MappingNode) and not node.flow_style else []
    found = next(((name, value) for name, value in pairs if name.value == key), None)
    if found is None:
        return f"{text.rstrip()}\n{written}\n" if written else text
    start, end = found[0].start_mark.index, _end(found[1])
    rest = text[len(text[:end].rstrip("\n")) :]
    return text[:start] + (written + rest if written else rest.lstrip(" ").removeprefix("\n"))


def _end(node: yaml.Node) -> int:
    """Return where a value ends; a block's own end is where the next key begins, behind comments that belong there."""
    if not isinstance(node, yaml.CollectionNode) or node.flow_style or not node.value:
        return int(node.end_mark.index)
    last = node.value[-1]
    return _end(last[1] if isinstance(last, tuple) else last)

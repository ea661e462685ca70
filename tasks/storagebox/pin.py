"""Writes a host key into the inventory file, leaving all comments and other lines unchanged."""

from collections.abc import Mapping
from pathlib import Path

import yaml

from tasks.errors import UsageError
from tasks.files import write_whole


def pin_host_key(file: Path, storage: str, host_key: str) -> None:
    """Write `host_key` into storage `storage` of `cloudbackup.yml`. Raises UsageError, AppError."""
    text = file.read_text(encoding="utf-8")
    write_whole(file, with_host_key(text, storage, host_key), "the host key")


def with_host_key(text: str, storage: str, host_key: str) -> str:
    """Return the YAML `text` with the key added as a line (or as an entry of a `{...}`)."""
    node = _mapping(yaml.compose(text), "storages", storage)
    if node is None or not node.value:
        raise UsageError(f"storage {storage} is not to be found in the inventory")
    first_key = node.value[0][0]
    if node.flow_style:
        at = first_key.start_mark.index
        return f"{text[:at]}host_key: {host_key}, {text[at:]}"
    at = first_key.start_mark.index - first_key.start_mark.column
    indent = " " * first_key.start_mark.column
    return f"{text[:at]}{indent}host_key: {host_key}\n{text[at:]}"


def with_storage(text: str, storage: str, values: Mapping[str, str | int]) -> str:
    """Return the YAML `text` with a storage added before the others. Raises UsageError if there are none."""
    node = _mapping(yaml.compose(text), "storages")
    if node is None or not node.value:
        raise UsageError("`storages` is not to be found in the inventory")
    entry = yaml.safe_dump(dict(values), default_flow_style=True, sort_keys=False, width=10_000).strip()
    first = node.value[0][0].start_mark
    if node.flow_style:
        return f"{text[: first.index]}{storage}: {entry}, {text[first.index :]}"
    at = first.index - first.column
    return f"{text[:at]}{' ' * first.column}{storage}: {entry}\n{text[at:]}"


def _mapping(node: yaml.Node | None, *path: str) -> yaml.MappingNode | None:
    for name in path:
        if not isinstance(node, yaml.MappingNode):
            return None
        node = next((value for key, value in node.value if key.value == name), None)
    return node if isinstance(node, yaml.MappingNode) else None

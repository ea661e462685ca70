"""Inventories that tests write."""

import re
from pathlib import Path
from typing import Any

import yaml

from tasks.inventory.errors import InventoryError
from tasks.storage.registry import load

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "examples" / "inventory"
MAIN = "storages:\n  disk: {kind: local, directory: /backup}\n"
APP = "passphrase: {env: SHOP}\nfiles: {paths: [/srv]}\n"  # `write` adds the host where a text has none
HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAII5xEpzHBD/ZinafcqfMco3W8ftwR0FcsHXK63tauGJO"


def write(folder: Path, main: str | bytes = MAIN, **apps: str | bytes) -> Path:
    """Write an inventory of these texts; without apps it has one, `shop`."""
    (folder / "apps").mkdir(exist_ok=True)
    texts = {"cloudbackup.yml": main}
    texts |= {f"apps/{name}.yml": with_host(text) for name, text in (apps or {"shop": APP}).items()}
    for name, text in texts.items():
        (folder / name).write_bytes(text.encode() if isinstance(text, str) else text)
    return folder


def with_host(text: str | bytes) -> str | bytes:
    """Return an app's text with a host, as its last line so that no other line moves."""
    if (
        isinstance(text, str)
        and text.startswith(("passphrase:", "files:"))
        and "host:" not in text.replace("_host:", "")
    ):
        return text + "host: local\n"
    return text


def faults(folder: Path) -> list[str]:
    """Return what loading finds, each as `file:line: key: text` with the file's name relative to the folder."""
    try:
        load(folder)
    except InventoryError as error:
        return [str(problem).removeprefix(f"{folder}/") for problem in error.problems]
    return []


class Yaml12Loader(yaml.SafeLoader):
    """Reads as editors do: `yes` and dates are texts."""


Yaml12Loader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if not tag.endswith((":bool", ":timestamp", ":merge"))]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for letter in "tfTF":
    Yaml12Loader.yaml_implicit_resolvers.setdefault(letter, []).append(
        ("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"))
    )


def example(name: str) -> Any:
    """Return one of the example's files as plain data."""
    return yaml.load((EXAMPLE / name).read_text(), Yaml12Loader)  # noqa: S506  # a SafeLoader

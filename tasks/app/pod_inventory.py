"""An app's inventory as a pod reads it: each secret in a file of a Kubernetes Secret, every server's key pinned."""

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tasks.errors import UsageError
from tasks.inventory import document
from tasks.inventory.inventory import Inventory
from tasks.inventory.loading import MAIN
from tasks.inventory.models import App

HOME = "/home/cloudbackup"  # home of the image's user
# Keys in capitals cannot collide with app names.
SSH, SECRETS = "~/.ssh", "~/cloudbackup/secrets"  # where the pods mount the two Secrets
LOGIN = ("passphrase", "become")  # secrets that opening a repository may take
_REFERENCE = {"env", "file", "command"}


@dataclass(frozen=True)
class Moved:
    """The files of the inventory as data, `apps` by their names, and the contents of the two Secrets.

    `ssh` and `secrets` map a Secret's key to the argument of `kubectl create secret generic` that fills it.
    """

    storages: Mapping[str, Any]
    apps: Mapping[str, Mapping[str, Any]]
    ssh: Mapping[str, str]
    secrets: Mapping[str, str]


def moved(inventory: Inventory, names: Sequence[str], *, reads: bool = False) -> Moved:
    """Return the part of the inventory that a pod of these apps needs, with all their copies.

    `reads`: the pod only reads storages, and gets no key of a host that it need not reach. Raises UsageError, which
    names everything that a pod lacks.
    """
    return _Move(inventory, names, reads).result()


class _Move:
    """Collects what one pod needs."""

    def __init__(self, inventory: Inventory, names: Sequence[str], reads: bool) -> None:
        self.inventory = inventory
        self.reads = reads
        self.apps = [inventory.app(name) for name in names]
        self.storages = list(dict.fromkeys(copy.storage for app in self.apps for copy in app.copies))
        self.ssh: dict[str, str] = {}
        self.secrets: dict[str, str] = {}
        self.lacking: list[str] = []

    def result(self) -> Moved:
        """Return all of it. Raises UsageError."""
        main = self._main()
        apps = {app.name: self._app(app, main) for app in self.apps}
        if self.lacking:
            raise UsageError("\n".join(self.lacking), "write it into the inventory")
        return Moved(main, apps, self.ssh, self.secrets)

    def _main(self) -> dict[str, Any]:
        """Return the first file's data: only what these apps need, and no folder of the operator's."""
        whole: Any = document.read(self.inventory.folder / MAIN).data
        main = {
            "storages": {name: whole["storages"][name] for name in self.storages},
            "defaults": {**whole.get("defaults", {}), "storage": self.storages[0]},
            **({"notify": whole["notify"]} if "notify" in whole and not self.reads else {}),
        }
        for name, storage in main["storages"].items():
            storage.pop("token", None)  # for Hetzner's API, which no job here uses
            if self.inventory.storages[name].account is not None:
                key = "STORAGE_KEY" if len(self.storages) == 1 else f"STORAGE_KEY_{name}"
                self._server(key, storage, f"storage {name}")
            _move_secrets(storage, name, self.secrets)
        if "notify" in main:
            _move_secrets({"notify": main["notify"]}, "ALL", self.secrets)
        return main

    def _app(self, app: App, main: dict[str, Any]) -> dict[str, Any]:
        read: Any = document.read(self.inventory.folder / f"apps/{app.name}.yml").data
        own: dict[str, Any] = {**read}
        names = [copy.storage for copy in app.copies]
        own["storage"] = names[0] if len(names) == 1 else names
        over_ssh = [self.inventory.storages[name].account is not None for name in names]
        if not app.is_local and self.reads and all(over_ssh):
            own.get("ssh", {}).pop("key", None)
        elif not app.is_local:
            key = "HOST_KEY" if len(self.apps) == 1 else f"HOST_KEY_{app.name}"
            self._server(key, own.setdefault("ssh", {}), app.name)
        if app.storage_key == "agent":
            main["agent_keys"] = SSH
            if not self.reads:
                self.ssh[app.name] = _from_file(app.name, str(self.inventory.agent_keys / app.name))
        elif app.is_local and any(over_ssh) and not self.reads:
            name = f"cloudbackup_{app.name}"
            self.ssh[name] = _from_file(name, f"~/.ssh/{name}")
        if self.reads:  # nobody asks a database here, nor sends a notice: their secrets stay where they are
            own.pop("notify", None)
            own = {key: each if key in LOGIN else _without_references(each) for key, each in own.items()}
        _move_secrets(own, app.name, self.secrets)
        return own

    def _server(self, name: str, server: dict[str, Any], what: str) -> None:
        """Give a server's key a file of the pod; note what is missing."""
        if "host_key" not in server:
            self.lacking.append(f"{what}: `host_key` must be pinned, a pod knows no host")
        if "key" not in server:
            self.lacking.append(f"{what}: `key` must name a key without a passphrase, a pod has no agent")
            return
        self.ssh[name] = _from_file(name, str(server["key"]))
        server["key"] = f"{SSH}/{name}"


def _without_references(values: Any) -> Any:
    """Return the data without its references to secrets."""
    if not isinstance(values, dict):
        return values
    return {key: _without_references(each) for key, each in values.items() if not _is_reference(each)}


def _is_reference(value: Any) -> bool:
    return isinstance(value, dict) and len(value) == 1 and set(value) <= _REFERENCE


def _move_secrets(values: dict[str, Any], name: str, secrets: dict[str, str]) -> None:
    """Make each reference to a secret point to a file in the pod."""
    for key, value in values.items():
        if isinstance(value, list):
            for number, each in enumerate(value, 1):
                _move_secrets(each if isinstance(each, dict) else {}, f"{name}-{key}-{number}", secrets)
        if not isinstance(value, dict):
            continue
        if _is_reference(value):
            file = name if key == "passphrase" else f"{name}-{key}"
            secrets[file] = _source(file, value)
            values[key] = {"file": f"{SECRETS}/{file}"}
        else:
            _move_secrets(value, f"{name}-{key}", secrets)


def _source(file: str, reference: Mapping[str, Any]) -> str:
    if "file" in reference:
        return _from_file(file, str(reference["file"]))
    if "env" in reference:
        return f'--from-literal={file}="${reference["env"]}"'
    words = reference["command"]
    command = words if isinstance(words, str) else shlex.join(map(str, words))
    return f"--from-file={file}=<({command})"


def _from_file(name: str, path: str) -> str:
    """Return the argument, with the operator's home left for bash to expand."""
    where = f'"$HOME"{shlex.quote(path[1:])}' if path.startswith("~/") else shlex.quote(path)
    return f"--from-file={name}={where}"


def object_name(app: str) -> str:
    """Return the app's name as a Kubernetes name: `a-z`, `0-9` and `-`, short enough for the suffixes.

    A name that had to be changed gets a few characters of its digest, so that it stays unique.
    """
    import hashlib

    plain = re.sub(r"[^a-z0-9]+", "-", app).strip("-")[:25].rstrip("-")
    if plain != app:
        plain += "-" + hashlib.sha256(app.encode()).hexdigest()[:6]
    return f"cloudbackup-{plain}"

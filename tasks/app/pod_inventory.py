"""An app's inventory as a pod reads it: each secret in a file of a Kubernetes Secret, every server's key pinned."""

import re
import shlex
from collections.abc import Mapping
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
_REFERENCE = {"env", "file", "command"}


@dataclass(frozen=True)
class Moved:
    """The two files of the inventory as data, and the contents of the two Secrets.

    `ssh` and `secrets` map a Secret's key to the argument of `kubectl create secret generic` that fills it.
    """

    storages: Mapping[str, Any]
    app: Mapping[str, Any]
    ssh: Mapping[str, str]
    secrets: Mapping[str, str]


def moved(inventory: Inventory, app: App) -> Moved:
    """Return the app's part of the inventory for a pod. Raises UsageError, which names everything that a pod lacks."""
    main, own = _read(inventory, app)
    ssh: dict[str, str] = {}
    secrets: dict[str, str] = {}
    lacking = []
    storage = main["storages"][app.storage]
    over_ssh = inventory.storages[app.storage].account is not None
    servers = [("STORAGE_KEY", storage, f"storage {app.storage}")] if over_ssh else []
    if not app.is_local:
        servers.append(("HOST_KEY", own.setdefault("ssh", {}), app.name))
    for name, server, what in servers:
        if "host_key" not in server:
            lacking.append(f"{what}: `host_key` must be pinned, a pod knows no host")
        if "key" not in server:
            lacking.append(f"{what}: `key` must name a key without a passphrase, a pod has no agent")
            continue
        ssh[name] = _from_file(name, str(server["key"]))
        server["key"] = f"{SSH}/{name}"
    if lacking:
        raise UsageError("\n".join(lacking), "write it into the inventory")
    if app.storage_key == "agent":
        main["agent_keys"] = SSH
        ssh[app.name] = _from_file(app.name, str(inventory.agent_keys / app.name))
    elif app.is_local and over_ssh:
        name = f"cloudbackup_{app.name}"
        ssh[name] = _from_file(name, f"~/.ssh/{name}")
    _move_secrets(storage, app.storage, secrets)
    _move_secrets(own, app.name, secrets)
    _move_secrets({name: main[name] for name in main if name == "notify"}, "ALL", secrets)
    return Moved(main, own, ssh, secrets)


def _read(inventory: Inventory, app: App) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return both files' data: only what this app needs of the first, and no folder of the operator's."""
    main: Any = document.read(inventory.folder / MAIN).data
    own: Any = document.read(inventory.folder / f"apps/{app.name}.yml").data
    storage = main["storages"][app.storage]
    storage.pop("token", None)  # for Hetzner's API, which no job here uses
    kept = {"storages": {app.storage: storage}, "defaults": {**main.get("defaults", {}), "storage": app.storage}}
    if "notify" in main:
        kept["notify"] = main["notify"]
    return kept, {**own, "storage": app.storage}


def _move_secrets(values: dict[str, Any], name: str, secrets: dict[str, str]) -> None:
    """Make each reference to a secret point to a file in the pod."""
    for key, value in values.items():
        if isinstance(value, list):
            for number, each in enumerate(value, 1):
                _move_secrets(each if isinstance(each, dict) else {}, f"{name}-{key}-{number}", secrets)
        if not isinstance(value, dict):
            continue
        if len(value) == 1 and set(value) <= _REFERENCE:
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

    plain = re.sub(r"[^a-z0-9]+", "-", app).strip("-")[:27].rstrip("-")
    if plain != app:
        plain += "-" + hashlib.sha256(app.encode()).hexdigest()[:6]
    return f"cloudbackup-{plain}"

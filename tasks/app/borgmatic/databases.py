"""borgmatic's database hooks as sources of an app: each becomes a dump of its own name. No password is carried over."""

import re
from collections.abc import Mapping

from tasks.app.borgmatic.configuration import Configuration
from tasks.inventory.document import Data
from tasks.sources.dumps.config import PRODUCTS
from tasks.sources.kinds import RESERVED, SOURCE_NAME

Values = dict[str, Data]
HOOKS = {"postgresql_databases": "postgresql", "mysql_databases": "mysql", "mariadb_databases": "mariadb"}
COMMANDS = {"mongodb_databases": ["mongodump", "--archive"], "openldap_databases": ["slapcat"]}
KEYS = (*HOOKS, "sqlite_databases", *COMMANDS)
SERVER = {"hostname": "host", "port": "port", "username": "user", "socket_path": "socket"}
PLAIN = ("name", "label", "path", "format", "password", "container", *SERVER)
HARMLESS = ("no_owner", "analyze_options", "add_drop_database", "compression")
RESTORING = "restore_"  # of a restore to another server: options of `inv restore` here


def dumps(config: Configuration) -> Values:
    """Return the key `dumps` of an app's file, with a note for each database and for what it lacks."""
    found: dict[str, Data] = {}
    for key in KEYS:
        for at, (_, hook) in enumerate(config.mappings(key)):
            made = _dump(config, key, hook, at)
            name = _name(str(hook.get("label") or hook.get("name") or key.partition("_")[0]), key, found)
            if made is not None:
                found[name] = made
                config.note("carried", key, f"as `dumps.{name}`", at)
    return {"dumps": found} if found else {}


def _dump(config: Configuration, key: str, hook: Mapping[str, Data], at: int) -> Values | None:
    """Return a dump as the app's file has it; None, with a note, if it cannot be one."""
    if key == "sqlite_databases":
        path = hook.get("path")
        if not isinstance(path, str) or not path.startswith("/"):
            config.note("left", key, "its path must be absolute: `dumps: {NAME: {sqlite: {path: ...}}}`", at)
            return None
        return {"sqlite": {"path": path}}
    if key in COMMANDS:
        config.note("left", key, f"its dump is written by `{' '.join(COMMANDS[key])}` alone: add how it logs in", at)
        return {"command": list(COMMANDS[key])}
    product = HOOKS[key]
    if product not in PRODUCTS:
        config.note("left", key, "no source is made for it: save it by `dumps: {NAME: {command: ...}}`", at)
        return None
    return {product: _server(config, key, hook, at)}


def _server(config: Configuration, key: str, hook: Mapping[str, Data], at: int) -> Values:
    known = PRODUCTS[HOOKS[key]].model_fields
    values: Values = {}
    name = hook.get("name")
    if isinstance(name, str) and name != "all":
        values |= {"database": name} if "database" in known else {"databases": [name]}
    for theirs, ours in SERVER.items():
        value = hook.get(theirs)
        if value is not None and ours in known:
            values[ours] = value
    if isinstance(hook.get("container"), str):
        values["exec"] = ["docker", "exec", "-i", str(hook["container"])]
        config.note(
            "left", key, "runs in its container by `exec: [docker, exec, -i, ...]`: see whether the name holds", at
        )
    if hook.get("password") is not None:
        config.note("left", key, "its password is not written: name where it is, `password: {file: ...}`", at)
    for option in hook:
        if option not in (*PLAIN, *HARMLESS) and not option.startswith(RESTORING):
            config.note("left", key, f"`{option}` is not carried over", at)
    return values


def _name(text: str, key: str, taken: Mapping[str, object]) -> str:
    plain = "" if text == "all" else re.sub(r"[^a-z0-9_]+", "_", text.lower()).strip("_")[:28]
    if not re.fullmatch(SOURCE_NAME, plain) or plain in RESERVED:
        plain = f"{key.partition('_')[0]}_{plain}".rstrip("_")[:30]
    name, number = plain, 2
    while name in taken or name in RESERVED:
        name, number = f"{plain}{number}", number + 1
    return name

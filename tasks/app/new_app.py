"""The options of a new app, and the inventory file made from them."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from tasks.errors import UsageError
from tasks.inventory.document import Data
from tasks.inventory.models import App
from tasks.inventory.values import read_host_path

SCHEMA = Path(__file__).parents[1] / "inventory" / "schema" / "app.schema.json"
HEAD = "# Made by `inv app.add`; examples/inventory/apps/shop.yml explains every key.\n"
DATABASE = "# reached by the option files of the login on the host, such as ~/.my.cnf, unless said here\n"


@dataclass(frozen=True)
class NewApp:
    """The options of `app.add`; empty if not given."""

    app: str
    host: str = ""
    files: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    mounts: str = ""
    mariadb: bool = False
    binlog: bool = False
    defaults_file: str = ""
    storage: str = ""
    storage_key: str = ""
    ssh_port: int = 0
    key: str = ""
    become: str = ""
    container: tuple[str, ...] = ()
    project: str = ""
    found: Mapping[str, Data] = field(default_factory=dict)  # the keys of the file that containers fill

    def values(self, passphrase: Mapping[str, Data], host_key: str = "") -> dict[str, Data]:
        """Return the app's file as data. `passphrase` is a reference to a secret, `host_key` the host's pinned key."""
        ssh: dict[str, Data] = {"port": self.ssh_port, "key": self.key, "host_key": host_key}
        files: dict[str, Data] = {"paths": list(self.files), "exclude": list(self.exclude), "mounts": self.mounts}
        database: dict[str, Data] = {"defaults_file": self.defaults_file, "binlog": self.binlog}
        every: dict[str, Data] = {
            "host": self.host,
            "ssh": _given(ssh),
            "become": self.become,
            "passphrase": dict(passphrase),
            "storage": self.storage,
            "storage_key": self.storage_key,
            "files": _given(files) if self.files else "",
        }
        written = _given(every) | ({"mariadb": _given(database)} if self.mariadb else {})
        return {**written, **{key: _joined(written.get(key), value) for key, value in self.found.items()}}


def _given(values: dict[str, Data]) -> dict[str, Data]:
    return {key: value for key, value in values.items() if value}


def _joined(given: Data, found: Data) -> Data:
    """Return what was found of a key, with what was given for it, which goes before it."""
    if isinstance(given, dict) and isinstance(found, dict):
        return {key: _joined(given.get(key), found.get(key)) for key in (*found, *(given.keys() - found.keys()))}
    if isinstance(given, list) and isinstance(found, list):
        return [*given, *(each for each in found if each not in given)]
    return found if given is None else given


def text(values: dict[str, Data], file: Path) -> str:
    """Return the YAML of an app's file; in this checkout it names the schema that editors validate it with."""
    written = HEAD + yaml.safe_dump(values, sort_keys=False, allow_unicode=True, default_flow_style=None, width=1000)
    written = written.replace("\nmariadb: {}", f"\n{DATABASE}mariadb: {{}}")
    if SCHEMA.parents[3] in file.parents:
        written = f"# yaml-language-server: $schema={os.path.relpath(SCHEMA, file.parent)}\n{written}"
    return written


def refuse_contradiction(requested: NewApp, app: App, file: Path) -> None:
    """Raise UsageError if the options contradict the existing app: `app.add` never changes an existing file."""
    different = list(_different(requested, app))
    if different:
        raise UsageError(
            f"{app.name} is in the inventory already, with another {', '.join(different)}",
            f"change it in {file}, or give --app {app.name} alone to mend what is missing",
        )


def _different(requested: NewApp, app: App) -> Iterator[str]:
    paths, excluded = (app.files.paths, app.files.exclude) if app.files else ((), ())
    given: dict[str, tuple[object, object]] = {
        "--host": (requested.host, app.host),
        "--defaults-file": (requested.defaults_file, app.mariadb.defaults_file if app.mariadb else None),
        "--mounts": (requested.mounts, app.files.mounts if app.files else None),
        "--storage": (requested.storage, app.storage),
        "--storage-key": (requested.storage_key, app.storage_key),
        "--ssh-port": (requested.ssh_port, app.ssh.port),
        "--container": (requested.container, tuple(each for each in requested.container if each in app.container)),
        "--key": (requested.key and Path(requested.key).expanduser(), app.ssh.key),
        "--become": (requested.become, app.become.program if app.become else None),
        "--mariadb": (requested.mariadb, app.mariadb is not None),
        "--binlog": (requested.binlog, app.mariadb is not None and app.mariadb.binlog),
    }
    yield from (option for option, (asked, there) in given.items() if asked and asked != there)
    if {read_host_path(path) for path in requested.files} - set(paths):
        yield "--files"
    if set(requested.exclude) - set(excluded):
        yield "--exclude"

"""`app.import`: an app's file out of a borgmatic configuration, and what could not be carried over, line by line.

Nothing is reached but files of this machine: hosts and storages are looked at by `app.add`, run after it.
"""

import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from tasks.app.borgmatic import configuration
from tasks.app.borgmatic.configuration import ENVIRONMENT, Configuration
from tasks.app.borgmatic.repositories import NAME, Repository, repositories
from tasks.app.borgmatic.translation import Values, translated
from tasks.borg import new_passphrase
from tasks.errors import UsageError
from tasks.files import replace_whole, write_whole
from tasks.inventory.errors import InventoryError
from tasks.inventory.inventory import Inventory
from tasks.inventory.loading import MAIN, draft
from tasks.storage.registry import load
from tasks.storagebox.pin import with_storage
from tasks.terminal import printable

CARRIED, LEFT = 0, 3
HEAD = "# Made by `inv app.import` from {file}; examples/inventory/apps/shop.yml explains every key.\n"
Say = Callable[[str], None]


@dataclass(frozen=True)
class Options:
    """borgmatic's file, the app's name (empty: the name of its repository's folder), and its host."""

    file: str
    name: str = ""
    host: str = ""


def run(folder: str, options: Options, say: Say) -> int:
    """Write the app's file and the storages that are new; return 0, or 3 if something is left to a person.

    Raises UsageError, before anything is written, for a file that cannot be read or an app that exists; AppError.
    """
    inventory = load(Path(folder))
    config = configuration.load(Path(options.file).expanduser())
    if not options.host:
        raise UsageError("--host is missing", "where borgmatic runs: [user@]host as in ssh, or local")
    found = repositories(config, inventory)
    name = _name(options, found)
    file = inventory.folder / "apps" / f"{name}.yml"
    if name in inventory.apps or file.exists():
        raise UsageError(f"there is an app {name} already: {file}", "give another --name")
    values: Values = {"host": options.host, "passphrase": _passphrase(config, inventory, name)}
    values |= _stored(config, name, found) | translated(config)
    for line in _told(config, options):
        say(printable(line))
    _write(inventory, file, HEAD.format(file=printable(Path(options.file).name)), values, found)
    left = [note for note in config.notes if note.level == "left"]
    say(f"{name}: {file} written: {len(left)} left to you" if left else f"{name}: {file} written: all is carried over")
    say(f"then `inv app.add --app {name}` looks at its host, takes its repository into use, saves and proves it")
    return LEFT if left else CARRIED


def _name(options: Options, found: Sequence[Repository]) -> str:
    name = options.name or (found[0].folder if found else "")
    if not NAME.fullmatch(name):
        what = f"{name} cannot be an app's name" if name else "the configuration names no repository"
        raise UsageError(f"{options.file}: {what}", "give --name: a-z, 0-9 and _ . -")
    return name


def _stored(config: Configuration, name: str, found: Sequence[Repository]) -> Values:
    """Return the app's storages, with notes on repositories that lie under another name than the app's."""
    if not found:
        config.note("left", "repositories", "none of them: name a storage, `storage: NAME`")
        return {}
    for each in found:
        where = f"storage {each.name}" + ("" if each.known else f", added to {MAIN}")
        config.note("carried", "repositories", where, each.at)
        if each.folder != name:
            config.note(
                "left",
                "repositories",
                f"the repository's folder is {each.folder}, and {name} is expected: rename it there, or import it with "
                f"--name {each.folder}; else `app.add` makes a new one",
                each.at,
            )
    if config.take("remote_path"):
        config.note(
            "left", "remote_path", f"{config.text('remote_path')}: the key `borg` of the storage, if it differs"
        )
    names: list[str] = list(dict.fromkeys(each.name for each in found))
    return {"storage": names[0] if len(names) == 1 else [*names]}


def _passphrase(config: Configuration, inventory: Inventory, name: str) -> Values:
    """Return where the passphrase is. It is never written, whatever the configuration has."""
    literal, command = config.text("encryption_passphrase"), config.text("encryption_passcommand")
    if config.take("borg_key_file"):
        config.note("left", "borg_key_file", "copy it to ~/.config/borg/keys of this machine and of the host")
    if literal is not None and ENVIRONMENT.match(literal) and literal[2:-1].isidentifier():
        config.note(
            "carried", "encryption_passphrase", f"from the environment variable {literal[2:-1]} of this machine"
        )
        return {"env": literal[2:-1]}
    if literal is None and command is not None:
        try:
            words = shlex.split(command)
        except ValueError:
            words = []
        if words:
            config.note(
                "left", "encryption_passcommand", "is run on this machine now: see that it gives the passphrase here"
            )
            return {"command": list(words)}
    place = new_passphrase.reference(inventory.secrets, name)
    told = new_passphrase.told(new_passphrase.place(inventory.secrets, name))
    key = "encryption_passphrase" if literal is not None else "repositories"
    text = "is not written anywhere" if literal is not None else "their passphrase is not in the file"
    config.note("left", key, f"{text}: put the repository's passphrase into {told}")
    return place


def _write(inventory: Inventory, file: Path, head: str, values: Values, found: Sequence[Repository]) -> None:
    """Write the new storages, then the app; what the inventory would refuse is not written at all."""
    main = inventory.folder / MAIN
    before = main.read_text("utf-8")
    after = before
    for each in found:
        if not each.known:
            after = with_storage(after, each.name, each.values)
    text = head + yaml.safe_dump(values, sort_keys=False, allow_unicode=True, default_flow_style=None, width=1000)
    if after != before:
        replace_whole(main, after.encode(), main.stat().st_mode & 0o777)
    try:
        draft(load(inventory.folder), file.stem, values)
        write_whole(file, text, "the app")
    except (InventoryError, UsageError):
        if after != before:
            replace_whole(main, before.encode(), main.stat().st_mode & 0o777)
        raise


def _told(config: Configuration, options: Options) -> Iterator[str]:
    """Yield what became of each key, in the order of borgmatic's file."""
    words = {"carried": "carried over", "needless": "not needed", "left": "NOT carried over"}
    for note in sorted(config.notes, key=lambda note: note.line):
        text = f": {note.text}" if note.text else ""
        yield f"{options.file}:{note.line}: {note.key}: {words[note.level]}{text}"

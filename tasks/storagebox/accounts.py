"""`storagebox.accounts`: a box's sub-accounts, each restricted to its own folder."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hcloud.storage_boxes import StorageBoxSubaccountAccessSettings

from tasks.errors import UsageError
from tasks.files import write_whole
from tasks.inventory.inventory import Inventory
from tasks.inventory.loading import MAIN
from tasks.inventory.values import read_app_name, read_box_directory
from tasks.remote.hetzner import unknown_password
from tasks.run.session import Session
from tasks.storage.registry import load
from tasks.storage.storagebox import SUB, StorageBox
from tasks.storagebox.box import Box, opened
from tasks.storagebox.choose import one
from tasks.storagebox.document import as_lines, list_alone
from tasks.storagebox.install import install_operator_key
from tasks.storagebox.pin import with_storage

if TYPE_CHECKING:
    from hcloud.storage_boxes import BoundStorageBoxSubaccount

Ask = Callable[[str], bool]


@dataclass(frozen=True)
class Change:
    """The change to make: `create` a sub-account for that app in `folder`, or remove one by its account's name.

    `as_json` lists them as JSON.
    """

    create: str = ""
    folder: str = ""
    remove: str = ""
    as_json: bool = False


def run(folder: str, storage: str, change: Change, ask: Ask) -> Iterator[str]:
    """Make the change, or list the sub-accounts, a line each. Raises UsageError, AppError, HostError, FilesError."""
    if change.create and change.remove:
        raise UsageError("one thing at a time: --create or --remove")
    list_alone(bool(change.create or change.remove), as_json=change.as_json)
    with Session(load(Path(folder))) as session:
        name = one(session.inventory, storage)
        if change.create:
            _refuse_create(session.inventory, name, change)
        if change.remove:
            _refuse_remove(session.inventory, change.remove)
        with opened(session.inventory, name) as box:
            if change.create:
                yield from _create(session, box, change)
            elif change.remove:
                yield from _remove(box, change.remove, ask)
            elif change.as_json:
                yield from as_lines(_document(box))
            else:
                yield from _list(box)


def _list(box: Box) -> Iterator[str]:
    every = box.bound.get_subaccount_all()
    for each in every:
        settings = each.access_settings
        ways = {"SSH": "ssh_enabled", "external": "reachable_externally", "read-only": "readonly"}
        on = [way for way, key in ways.items() if getattr(settings, key)]
        yield f"{each.username}  /{_home(each)}  {', '.join(on) or 'no access'}  {each.description or ''}".rstrip()
    kind = box.bound.storage_box_type
    yield f"{box.name}: {len(every)} of {kind.subaccounts_limit if kind else 'unknown'} sub-accounts"


def _document(box: Box) -> Mapping[str, Any]:
    kind = box.bound.storage_box_type
    accounts = [
        {
            "account": each.username,
            "folder": f"/{_home(each)}",
            "ssh": getattr(each.access_settings, "ssh_enabled", None),
            "external": getattr(each.access_settings, "reachable_externally", None),
            "read_only": getattr(each.access_settings, "readonly", None),
            "description": each.description or None,
        }
        for each in box.bound.get_subaccount_all()
    ]
    return {"storage": box.name, "limit": kind.subaccounts_limit if kind else None, "accounts": accounts}


def _home(account: "BoundStorageBoxSubaccount") -> str:
    return (account.home_directory or "").strip("/")


def _refuse_create(inventory: Inventory, name: str, change: Change) -> None:
    """Raise UsageError for what cannot work, before anything is created."""
    config = inventory.storages[name]
    assert isinstance(config, StorageBox)
    if SUB in config.user:
        raise UsageError(f"storage {name} is a sub-account itself", "name the storage of the box's main account")
    try:
        read_app_name(change.create)
        if change.folder:
            read_box_directory(change.folder)
    except ValueError as error:
        raise UsageError(f"--create {change.create} {change.folder}: {error}") from error
    if f"{name}-{change.create}" in inventory.storages:
        raise UsageError(f"the inventory has a storage {name}-{change.create} already")
    if inventory.defaults.storage is None and len(inventory.storages) == 1:
        raise UsageError(
            "a second storage needs a default one",
            f"add `defaults: {{storage: {name}}}` to {inventory.folder / MAIN} first",
        )


def _create(session: Session, box: Box, change: Change) -> Iterator[str]:
    """Create the account, install the operator's key in it, and add it to the inventory as a storage."""
    app, home = change.create, change.folder or f"accounts/{change.create}"
    main = session.storage(box.name).account
    assert main is not None
    files = main.server.files()
    files.make_directory(home, 0o755)
    outside = box.bound.access_settings
    made = box.bound.create_subaccount(
        home_directory=home,
        password=unknown_password(),
        name=app,
        description=f"cloudbackup {app}",
        access_settings=StorageBoxSubaccountAccessSettings(
            ssh_enabled=True,
            reachable_externally=bool(outside and outside.reachable_externally),
            samba_enabled=False,
            webdav_enabled=False,
            readonly=False,
        ),
    )
    made.action.wait_until_finished()
    account = made.subaccount
    account.reload()  # the create response contains only a part of it
    yield f"{box.name}: sub-account {account.username} made, restricted to /{home}"
    if box.config.key is not None:
        install_operator_key(files, box.config.key, both_ports=True, home=home)
        yield f"{box.name}: {box.config.key}.pub may log in to it"
    file = session.inventory.folder / MAIN
    added = with_storage(file.read_text(encoding="utf-8"), f"{box.name}-{app}", _storage(box, account))
    write_whole(file, added, "the storage")
    yield f"{box.name}: storage {box.name}-{app} added to {file}"
    yield f"  `inv app.add --app {app} --storage {box.name}-{app} ...` puts an app there"


def _storage(box: Box, account: "BoundStorageBoxSubaccount") -> dict[str, str | int]:
    config = box.config
    values: dict[str, str | int | None] = {
        "kind": "storagebox",
        "user": account.username,
        "host": account.server if account.server != f"{account.username}.your-storagebox.de" else None,
        "port": config.port if config.port != 23 else None,
        "directory": config.directory,
        "borg": config.borg,
        "host_key": config.host_key,
        "key": str(config.key) if config.key else None,
    }
    return {key: value for key, value in values.items() if value is not None}


def _refuse_remove(inventory: Inventory, account: str) -> None:
    users = [name for name, each in inventory.storages.items() if getattr(each, "user", None) == account]
    if users:
        raise UsageError(
            f"{account} is the account of the storage {users[0]}",
            f"take {users[0]} out of {inventory.folder / MAIN} first",
        )


def _remove(box: Box, name: str, ask: Ask) -> Iterator[str]:
    found = next((each for each in box.bound.get_subaccount_all() if each.username == name), None)
    if found is None:
        raise UsageError(f"{box.name} has no sub-account {name}", "`inv storagebox.accounts` lists them")
    if not ask(f"Remove the sub-account {name} of {box.name}? Its folder /{_home(found)} stays."):
        yield f"{box.name}: nothing changed"
        return
    found.delete().action.wait_until_finished()
    yield f"{box.name}: {name} removed; /{_home(found)} and all in it stay, for the main account"

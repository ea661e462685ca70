"""`storagebox.setup`: turns an account with a password into one to which every app's host can append."""

import getpass
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from tasks.errors import RefusedError, UsageError
from tasks.inventory.inventory import Inventory
from tasks.inventory.models import App
from tasks.remote.files import Files
from tasks.remote.running import HostError
from tasks.remote.secret import Secret
from tasks.remote.ssh import LoginRefusedError, SshHost, SshTarget, fingerprint, shown_host_key
from tasks.run.session import Session
from tasks.storage.registry import load, with_keys
from tasks.storage.ssh import SshServer
from tasks.storagebox.choose import apps_of, storages
from tasks.storagebox.install import (
    Ask,
    drop_host_key,
    install_app_key,
    install_operator_key,
    make_folders,
    refuse_to_replace,
)
from tasks.storagebox.pin import pin_host_key

PASSWORD = "STORAGEBOX_PASSWORD"  # noqa: S105  # the name of an environment variable
Trusts = Callable[[str, str], bool]
Say = Callable[[str], None]


def run(folder: str, names: Sequence[str], trusts: Trusts, say: Say, agrees: Ask = refuse_to_replace) -> None:
    """Prepare the storages. `trusts(host, fingerprint)` returns whether a host key is right; `agrees` answers whether
    an access that another inventory may depend on can be replaced.

    Raises UsageError, RefusedError if a host key is not trusted, HostError, FilesError, AppError.
    """
    inventory = load(Path(folder))
    chosen = storages(inventory, names, with_keys())
    for name in chosen:
        pin(inventory, name, trusts, say)
    with Session(load(Path(folder))) as session:
        for name in chosen:
            storage = session.storage(name)
            assert storage.account is not None
            install(session, storage.account, apps_of(session.inventory, name), say, agrees)
            count = len(apps_of(session.inventory, name))
            say(f"{name}: ready for {count} app{'' if count == 1 else 's'} in {storage.directory}")


def pin(inventory: Inventory, name: str, trusts: Trusts, say: Say) -> None:
    """Write a storage's host key into the inventory, once it is trusted. Raises RefusedError, HostError."""
    account = inventory.storages[name].account
    if account is None or account.host_key is not None:
        return
    key = shown_host_key(SshTarget(f"{account.user}@{account.host}", account.port))
    if not trusts(f"{account.host}:{account.port}", fingerprint(key)):
        raise RefusedError(f"{name}: the host key {fingerprint(key)} is not the one to trust; nothing was changed")
    file = inventory.folder / "cloudbackup.yml"
    pin_host_key(file, name, key)
    say(f"{name}: host key {fingerprint(key)} pinned in {file}")


def install(
    session: Session, storage: SshServer, apps: Sequence[App], say: Say, agrees: Ask = refuse_to_replace
) -> None:
    """Install missing keys of the operator and the apps, and make missing folders. Raises CloudbackupError."""
    files = _files(storage, say)
    for app in apps:
        if install_app_key(files, storage, app, session.host(app), agrees):
            whose = "host" if app.storage_key == "host" else "agent"
            say(f"{storage.name}: {app.name}'s {whose} may append to {storage.path(app)}")
        if app.storage_key == "agent" and drop_host_key(files, storage, app, session.host(app)):
            say(f"{storage.name}: the key that {app.name}'s host had is gone, there and from the storage")
    make_folders(files, storage, apps)


def _files(storage: SshServer, say: Say) -> Files:
    """Return the account's files, accessed with the operator's key, which is installed by password if needed."""
    key = storage.config.key
    try:
        files = storage.server.files()
    except HostError as error:
        if key is None or not isinstance(error, LoginRefusedError):
            raise
        guest = SshHost(replace(storage.target(), key=None, password=_password(storage)))
        try:
            install_operator_key(guest.files(), key, both_ports=storage.both_ports)
        finally:
            guest.close()
        say(f"{storage.name}: {key}.pub may log in")
        return storage.server.files()
    if key is not None and install_operator_key(files, key, both_ports=storage.both_ports):
        say(f"{storage.name}: {key}.pub may log in on both ports")
    return files


def _password(storage: SshServer) -> Secret:
    if PASSWORD in os.environ:
        return Secret(os.environ[PASSWORD])
    if not sys.stdin.isatty():
        raise UsageError(
            f"storage {storage.name}: the operator's key does not log in yet, and there is no terminal to ask at",
            f"put the account's password into the environment variable {PASSWORD}",
        )
    return Secret(getpass.getpass(f"password of {storage.config.user}: "))

"""`storagebox.keys`: the keys that log in to an account, and what each may do."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tasks.errors import RefusedError, UsageError
from tasks.remote.files import Files, FilesError
from tasks.run.session import Session
from tasks.storage.registry import load, with_keys
from tasks.storage.ssh import SshServer
from tasks.storagebox.authorized_keys import Entry, PublicKey, entries, with_key, without_key
from tasks.storagebox.box import opened
from tasks.storagebox.choose import one
from tasks.storagebox.document import as_lines, list_alone
from tasks.storagebox.keys_file import KEYS, rewrite_keys

Ask = Callable[[str], bool]
PORTS = ("22", "23", "both")
PORT_22_KINDS = ("ssh-rsa", "ecdsa-")  # https://docs.hetzner.com/robot/storage-box/backup-space-ssh-keys


@dataclass(frozen=True)
class Change:
    """The change to make: allow the public key in the file `add` to log in on `port`, or remove one by fingerprint.

    `as_json` lists them as JSON.
    """

    add: str = ""
    remove: str = ""
    port: str = "both"
    as_json: bool = False


def run(folder: str, storage: str, account: str, change: Change, ask: Ask) -> Iterator[str]:
    """Make the change, or list all keys of an account, a line each. An empty `account` is the login's own.

    Raises UsageError, RefusedError for removing the key of this very login, HostError, FilesError, AppError.
    """
    if change.add and change.remove:
        raise UsageError("one thing at a time: --add or --remove")
    list_alone(bool(change.add or change.remove), as_json=change.as_json)
    if change.port not in PORTS:
        raise UsageError(f"--port {change.port} is none of {', '.join(PORTS)}")
    key = _public(Path(change.add).expanduser()) if change.add else None
    with Session(load(Path(folder))) as session:
        name = one(session.inventory, storage, with_keys())
        server = session.storage(name).account
        assert server is not None
        files, file = server.server.files(), f"{_home(session, name, account)}{KEYS}"
        if key is not None:
            new = rewrite_keys(files, lambda text: with_key(text, key, change.port), file)
            yield f"{name}: {key.fingerprint} {'may log in' if new else 'was there already'} ({_ports(change.port)})"
            if change.port != "23" and not key.kind.startswith(PORT_22_KINDS):
                yield f"  port 22 is documented for RSA and ECDSA keys alone: {key.kind} may be refused there"
        elif change.remove:
            yield from _remove(files, file, server, change.remove, ask)
        elif change.as_json:
            yield from as_lines({"storage": name, "keys": [_values(each) for each in _entries(files, file)]})
        else:
            yield from (f"{each.key.fingerprint}  {_what(each)}  {each.key.comment}" for each in _entries(files, file))


def _public(file: Path) -> PublicKey:
    try:
        return PublicKey.parse(file.read_text())
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read a public key in {file}: {error}", "give the .pub file") from error


def _home(session: Session, storage: str, account: str) -> str:
    """Return the folder of a sub-account as a path in the main account; empty for the login's own home."""
    config = session.inventory.storages[storage]
    if not account or account == getattr(config, "user", ""):
        return ""
    with opened(session.inventory, storage) as box:
        for each in box.bound.get_subaccount_all():
            if each.username == account:
                return f"{(each.home_directory or '').strip('/')}/"
    raise UsageError(f"{storage} has no sub-account {account}", "`inv storagebox.accounts` lists them")


def _entries(files: Files, file: str) -> list[Entry]:
    try:
        return entries(files.read(file).decode(errors="replace"))
    except FilesError as error:
        if error.missing:
            return []
        raise


def _remove(files: Files, file: str, server: SshServer, fingerprint: str, ask: Ask) -> Iterator[str]:
    found = [entry.key for entry in _entries(files, file) if entry.key.fingerprint == fingerprint]
    if not found:
        raise UsageError(f"{server.name}: no key has the fingerprint {fingerprint}", "`inv storagebox.keys` lists them")
    own = server.config.key
    if file == KEYS and own is not None and _public(own.with_name(own.name + ".pub")).blob == found[0].blob:
        raise RefusedError(f"{server.name}: {fingerprint} is the operator's own key: nothing would log in any more")
    if not ask(f"Let {fingerprint} ({found[0].comment}) no longer log in to {server.name}?"):
        yield f"{server.name}: nothing changed"
        return
    rewrite_keys(files, lambda text: without_key(text, found[0]), file)
    yield f"{server.name}: {fingerprint} may no longer log in"


def _ports(port: str) -> str:
    return {"22": "port 22, SFTP", "23": "port 23", "both": "ports 22 and 23"}[port]


def _values(entry: Entry) -> dict[str, object]:
    ports = [22, 23] if entry.port == "both" else [int(entry.port)]
    key = entry.key
    return {
        "fingerprint": key.fingerprint,
        "kind": key.kind,
        "comment": key.comment,
        "ports": ports,
        "command": entry.command or None,
    }


def _what(entry: Entry) -> str:
    return f"{_ports(entry.port)}: {entry.command or 'everything'}"

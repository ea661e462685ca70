"""Prepares a Storage Box (or another SSH server with borg): installs keys, makes folders. Every step is repeatable."""

import posixpath
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

from tasks.errors import AppError, RefusedError, UsageError
from tasks.inventory.models import App
from tasks.remote.agent import make_key, public_key
from tasks.remote.files import Files
from tasks.remote.host import Host
from tasks.remote.script import Script, quote
from tasks.storage.ssh import SshServer, agent_key_path, host_key_path
from tasks.storagebox.authorized_keys import (
    PublicKey,
    accesses_lost,
    opening,
    with_forced_command,
    with_full_access,
    without_forced_command,
    without_key,
)
from tasks.storagebox.keys_file import KEYS, read_keys, rewrite_keys

Ask = Callable[[str], bool]


def install_operator_key(files: Files, key: Path, *, both_ports: bool, home: str = "") -> bool:
    """Install the operator's key in the account; return whether that was new. Raises UsageError, FilesError.

    `home` is the folder of a sub-account, as a path in the main account's `files`.
    """
    public = key.with_name(key.name + ".pub")
    try:
        parsed = PublicKey.parse(public.read_text())
    except (OSError, ValueError) as error:
        raise UsageError(
            f"cannot read the public key {public}: {error}",
            f"make it: `ssh-keygen -y -f {quote((str(key),))} > {quote((str(public),))}`",
        ) from error
    return rewrite_keys(
        files, lambda text: with_full_access(text, parsed, both_ports=both_ports), posixpath.join(home, KEYS)
    )


def refuse_to_replace(question: str) -> bool:
    """Answer whether an access may be revoked, for callers that cannot ask. Raises UsageError."""
    raise UsageError(question, "give --yes to replace it")


def install_app_key(files: Files, server: SshServer, app: App, host: Host, agrees: Ask = refuse_to_replace) -> bool:
    """Allow the app's key to append to the app's own repository; return whether that was new.

    A missing key is generated: on the host, or on the operator's side if the app's `storage_key` is agent. `agrees` is
    asked about a key that opens another repository now, as another inventory may depend on it. Raises AppError,
    UsageError, RefusedError.
    """
    public = make_app_key(app, host) if app.storage_key == "host" else make_agent_key(server, app)
    command = server.serve_command(app)
    agreed = accesses_lost(read_keys(files), public, command)
    for lost in agreed:
        question = (
            f"{server.name}: the key of {app.name} ({public.fingerprint}) is let in for `{lost}`, perhaps by another "
            f"inventory. Replace that by {server.path(app)}?"
        )
        if not agrees(question):
            raise RefusedError(
                f"{app.name}: its key goes on with `{lost}`; nothing was changed",
                "two inventories with an app of one name on one host need an account of their own on the storage each",
            )

    def change(text: str) -> str:
        if set(accesses_lost(text, public, command)) - set(agreed):
            raise AppError(f"{app.name}: somebody changed what its key may do at this moment", "run it again")
        return with_forced_command(text, public, command)

    return rewrite_keys(files, change)


def make_agent_key(server: SshServer, app: App) -> PublicKey:
    """Return the public half of the key that the operator's process serves for an app. Raises UsageError, AppError."""
    path = agent_key_path(server.agent_keys, app)
    make_key(path)
    return PublicKey.parse(public_key(path, f"{app_key_comment(app)} agent"))


def drop_host_key(files: Files, server: SshServer, app: App, host: Host) -> bool:
    """Remove the key that the app's host had before from the account; return whether there was one. Raises AppError."""
    dropped = rewrite_keys(
        files, lambda text: without_forced_command(text, server.serve_command(app), app_key_comment(app))
    )
    if dropped:
        _remove_host_key(app, host)
    return dropped


def _remove_host_key(app: App, host: Host) -> None:
    path = host_key_path(host.facts().home, app)
    host.run(Script(quote(("rm", "-f", "--", path, f"{path}.pub"))), timeout=60)


def drop_own_key(server: SshServer, app: App, host: Host) -> None:
    """Remove the key that the app's host, or the operator for it, has under the app's name. Raises HostError."""
    if app.storage_key == "host":
        _remove_host_key(app, host)
    else:
        agent_key_path(server.agent_keys, app).unlink(missing_ok=True)


def app_keys(files: Files, server: SshServer, app: App, host: Host) -> list[str]:
    """Return the fingerprints of the keys that open the app's repository, and of the key that its host, or the
    operator, has for it, whether or not it is installed. Raises AppError.
    """
    found = opening(read_keys(files), server.serve_command(app))
    own = _key_there(server, app, host)
    return sorted({each.fingerprint for each in (*found, *([own] if own else []))})


def replace_app_keys(files: Files, server: SshServer, app: App, host: Host, old: Collection[str]) -> bool:
    """Remove the keys with the fingerprints `old` from the account, and give the app a new one.

    Return False if the app already has another key. The storage drops the old ones first. Repeatable: it continues
    where it was interrupted. Raises AppError.
    """
    command = server.serve_command(app)

    def without_old(text: str) -> str:
        for key in opening(text, command):
            text = without_key(text, key) if key.fingerprint in old else text
        return text

    rewrite_keys(files, without_old)
    own = _key_there(server, app, host)
    if own is not None and own.fingerprint in old:
        drop_own_key(server, app, host)
    return install_app_key(files, server, app, host)


def _key_there(server: SshServer, app: App, host: Host) -> PublicKey | None:
    """Return the current key of the app's host, or of the operator for it; None if there is none. Raises HostError."""
    if app.storage_key != "host":
        own = agent_key_path(server.agent_keys, app)
        return PublicKey.parse(public_key(own, app_key_comment(app))) if own.exists() else None
    path = host_key_path(host.facts().home, app)
    # Derived from the private key: a `.pub` beside it may belong to another key.
    show = f"if {quote(('test', '-f', path))}; then {quote(('ssh-keygen', '-y', '-f', path))}; fi"
    said = host.run(Script(show), timeout=60).text.strip()
    try:
        return PublicKey.parse(said) if said else None
    except ValueError:
        return None


def keep_only_key(files: Files, server: SshServer, app: App, host: Host) -> list[str]:
    """Remove all keys that open the app's repository but the one that its host, or the operator for it, has now.

    Return the fingerprints of those that went. Raises AppError if there is no such key.
    """
    own = _key_there(server, app, host)
    if own is None:
        raise AppError(f"{app.name}: {host.name} has no key for the storage", "`inv storagebox.setup` makes one")
    gone = [key for key in opening(read_keys(files), server.serve_command(app)) if key.blob != own.blob]

    def change(text: str) -> str:
        for key in gone:
            text = without_key(text, key)
        return text

    if gone:
        rewrite_keys(files, change)
    return [key.fingerprint for key in gone]


def remove_app_keys(files: Files, server: SshServer, app: App) -> bool:
    """Remove the keys that open the app's repository from the account; return whether any did. Raises FilesError."""
    return rewrite_keys(files, lambda text: without_forced_command(text, server.serve_command(app)))


def make_app_key(app: App, host: Host) -> PublicKey:
    """Return the public half of the host's own key for its repository; it is generated there if missing.

    The private half never leaves the host. Raises AppError.
    """
    path = host_key_path(host.facts().home, app)
    make = ("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", app_key_comment(app), "-f", path)
    body = [
        'mkdir -p -m 700 "$HOME/.ssh"',
        f"if ! {quote(('test', '-f', path))}; then {quote(make)}; fi",
        quote(("cat", path + ".pub")),
    ]
    output = host.run(Script("\n".join(body)), timeout=60)
    if not output.ok:
        said = output.error_text.strip().splitlines() or ["no reason given"]
        raise AppError(
            f"{app.name}: cannot make a key on {host.name}: {said[-1]}", "is openssh-client installed there?"
        )
    return PublicKey.parse(output.text)


def app_key_comment(app: App) -> str:
    """Return the comment of the app host's key in `authorized_keys`."""
    return f"cloudbackup {app.name}"


def make_folders(files: Files, server: SshServer, apps: Iterable[App]) -> None:
    """Make the folders for repositories and records. Raises FilesError."""
    files.make_directory(server.directory)
    for app in apps:
        files.make_directory(f"{server.directory}/records/{app.name}")

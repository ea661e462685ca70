"""Making a Storage Box (or another SSH server with borg) ready: keys in, folders made. Every step may be repeated."""

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
    """Let the operator's key log in to the account; tell whether that was new. Raises UsageError, FilesError.

    `home` is the folder of a sub-account, as the main account's `files` have it.
    """
    public = key.with_name(key.name + ".pub")
    try:
        parsed = PublicKey.parse(public.read_text())
    except (OSError, ValueError) as error:
        raise UsageError(
            f"cannot read the public key {public}: {error}", f"make it: `ssh-keygen -y -f {key}`"
        ) from error
    return rewrite_keys(
        files, lambda text: with_full_access(text, parsed, both_ports=both_ports), posixpath.join(home, KEYS)
    )


def refuse_to_replace(question: str) -> bool:
    """Answer the question whether an access may be taken away, for callers that cannot ask. Raises UsageError."""
    raise UsageError(question, "give --yes to replace it")


def install_app_key(files: Files, server: SshServer, app: App, host: Host, agrees: Ask = refuse_to_replace) -> bool:
    """Let the app's key append to the app's own repository; tell whether that was new.

    The key is made where it is missing: on the host, or on the operator's side where the app's `storage_key` is agent.
    A key that opens another repository now is asked about: another inventory may live by it. Raises AppError,
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
    """Take away a key that the app's host had before; tell whether there was one. Raises AppError."""
    dropped = rewrite_keys(
        files, lambda text: without_forced_command(text, server.serve_command(app), app_key_comment(app))
    )
    if dropped:
        _remove_host_key(app, host)
    return dropped


def _remove_host_key(app: App, host: Host) -> None:
    path = host_key_path(host.facts().home, app)
    host.run(Script(quote(("rm", "-f", "--", path, f"{path}.pub"))), timeout=60)


def app_keys(files: Files, server: SshServer, app: App, host: Host) -> list[str]:
    """Return the fingerprints of the keys that open the app's repository, and of the one that its host or the operator
    has for it, let in or not. Raises AppError.
    """
    found = opening(read_keys(files), server.serve_command(app))
    own = _key_there(server, app, host)
    return sorted({each.fingerprint for each in (*found, *([own] if own else []))})


def replace_app_keys(files: Files, server: SshServer, app: App, host: Host, old: Collection[str]) -> bool:
    """Take the keys of the fingerprints `old` out of the account, and give the app another one; False: it had one.

    The storage forgets the old ones first. Done again, it goes on. Raises AppError.
    """
    command = server.serve_command(app)

    def without_old(text: str) -> str:
        for key in opening(text, command):
            text = without_key(text, key) if key.fingerprint in old else text
        return text

    rewrite_keys(files, without_old)
    own = _key_there(server, app, host)
    if own is not None and own.fingerprint in old:
        if app.storage_key == "host":
            _remove_host_key(app, host)
        else:
            agent_key_path(server.agent_keys, app).unlink(missing_ok=True)
    return install_app_key(files, server, app, host)


def _key_there(server: SshServer, app: App, host: Host) -> PublicKey | None:
    """Return the key that the app's host, or the operator for it, has now; None without any. Raises HostError."""
    if app.storage_key != "host":
        own = agent_key_path(server.agent_keys, app)
        return PublicKey.parse(public_key(own, app_key_comment(app))) if own.exists() else None
    path = host_key_path(host.facts().home, app)
    # The public half is made of the private one: a `.pub` beside it may be another key's.
    show = f"if {quote(('test', '-f', path))}; then {quote(('ssh-keygen', '-y', '-f', path))}; fi"
    said = host.run(Script(show), timeout=60).text.strip()
    try:
        return PublicKey.parse(said) if said else None
    except ValueError:
        return None


def remove_app_keys(files: Files, server: SshServer, app: App) -> bool:
    """Take the keys that open the app's repository out of the account; tell whether one was there. FilesError."""
    return rewrite_keys(files, lambda text: without_forced_command(text, server.serve_command(app)))


def make_app_key(app: App, host: Host) -> PublicKey:
    """Return the public half of the host's own key for its repository, made there when it is missing.

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
    """Return how the key of an app's host is called in `authorized_keys`."""
    return f"cloudbackup {app.name}"


def make_folders(files: Files, server: SshServer, apps: Iterable[App]) -> None:
    """Make the folders for repositories and records. Raises FilesError."""
    files.make_directory(server.directory)
    for app in apps:
        files.make_directory(f"{server.directory}/records/{app.name}")

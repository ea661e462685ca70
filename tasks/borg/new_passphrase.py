"""Generated passphrases: where the inventory keeps them, and how they are read back."""

from pathlib import Path

from tasks.errors import AppError, RefusedError, UsageError
from tasks.inventory.document import Data
from tasks.inventory.secrets import SecretReference, SecretStore
from tasks.remote.new_secret import generate, keep_by_command, keep_in_file, refuse_version_control
from tasks.remote.secret import Secret, resolve

PASS_ABSENT = "is not in the password store"  # noqa: S105  # what `pass show` says (password-store 1.7)


def reference(store: SecretStore, app: str) -> dict[str, Data]:
    """Return the reference to an app's passphrase in this store. Raises UsageError if the store cannot be read."""
    if store.directory is not None:
        path, home = store.directory / app, Path.home()
        return {"file": f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)}
    return {"command": list(_show(store, app))}


def _show(store: SecretStore, app: str) -> tuple[str, ...]:
    assert store.command is not None
    if store.show is not None:
        return _filled(store.show, app)
    words = store.command
    if words[:2] in (("pass", "insert"), ("gopass", "insert")):
        return _filled((words[0], "show", *(word for word in words[2:] if not word.startswith("-"))), app)
    raise UsageError(
        f"nothing tells how to read what `{' '.join(words)}` keeps",
        "add `show` to `secrets` in cloudbackup.yml: the command that prints the secret again",
    )


def _filled(words: tuple[str, ...], app: str) -> tuple[str, ...]:
    return tuple(word.replace("{app}", app) for word in words)


def refuse_place(store: SecretStore, app: str) -> None:
    """Raise UsageError for a store that must not hold a secret, before anything is changed."""
    if store.directory is not None:
        refuse_version_control(store.directory / app)


def place(store: SecretStore, app: str) -> SecretReference:
    """Parse `reference` as the inventory does."""
    return SecretReference.model_validate(reference(store, app), strict=False)


def present(place: SecretReference, app: str) -> bool:
    """Return whether there is a passphrase at a reference. Raises UsageError if that is unknown."""
    if place.file is not None and not place.file.exists():
        return False
    try:
        resolve(place, f"the passphrase of {app}")
    except UsageError as error:
        if place.command is None or "failed with exit code" not in error.what:
            raise
        # `pass insert` without a terminal overwrites: only pass's own message that there is none counts
        if place.command[0] in ("pass", "gopass") and PASS_ABSENT not in error.remedy:
            raise
        return False
    return True


def make(store: SecretStore, app: str, *, repository_there: bool) -> None:
    """Generate a passphrase, store it, and read it back.

    Raises RefusedError if there is a repository already, which a new passphrase could never open, UsageError, and
    AppError if the store returns something else.
    """
    named = place(store, app)
    if repository_there:
        raise RefusedError(
            f"{app}: the storage holds a repository of this name, and there is no passphrase for it",
            f"bring its passphrase back to {told(named)}, or choose another name for the app; where it has none, "
            "`borg key change-passphrase` gives it one, with BORG_PASSPHRASE empty",
        )
    secret = generate()
    if store.directory is not None:
        keep_in_file(store.directory / app, secret)
    else:
        assert store.command is not None
        keep_by_command(_filled(store.command, app), secret)
    _read_back(named, app, secret)


def renew(store: SecretStore, app: str, kept_as: str) -> bool:
    """Replace an app's passphrase by a new one; the old one is kept under the name `kept_as`.

    Returns whether that was done now: a killed run is continued, and if it had finished nothing changes. Raises
    UsageError and AppError; the old passphrase is then where it was, or under `kept_as`.
    """
    named, kept = place(store, app), place(store, kept_as)
    if not present(kept, kept_as):
        _put(store, kept_as, resolve(named, f"the passphrase of {app}"))
    former = resolve(kept, f"the passphrase of {kept_as}")
    if present(named, app) and resolve(named, f"the passphrase of {app}") != former:
        return False
    _put(store, app, generate())
    return True


def _put(store: SecretStore, name: str, secret: Secret) -> None:
    """Store a secret, replacing any other, and read it back."""
    if store.directory is not None:
        fresh = store.directory / f".{name}.new"
        fresh.unlink(missing_ok=True)
        keep_in_file(fresh, secret)
        fresh.replace(store.directory / name)
    else:
        assert store.command is not None
        keep_by_command(_filled(store.command, name), secret)
    _read_back(place(store, name), name, secret)


def _read_back(named: SecretReference, app: str, secret: Secret) -> None:
    if resolve(named, f"the new passphrase of {app}") != secret:
        raise AppError(
            f"{app}: the secret store gives back another passphrase than the one put into it",
            "correct `secrets` in cloudbackup.yml: `command` must take it as it is, `show` must print it alone",
        )


def told(named: SecretReference) -> str:
    """Describe where a secret is stored."""
    if named.file is not None:
        return str(named.file)
    if named.env is not None:
        return f"the environment variable {named.env}"
    return f"the place that `{' '.join(named.command or ())}` reads"

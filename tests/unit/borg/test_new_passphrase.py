"""Where a new passphrase goes, and where it must not."""

import stat
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tasks.borg import new_passphrase
from tasks.errors import AppError, RefusedError, UsageError
from tasks.inventory.secrets import SecretStore
from tasks.remote.new_secret import generate
from tasks.remote.secret import resolve


def command_store(folder: Path) -> SecretStore:
    """Return a store of one program that inserts from standard input and shows."""
    program = folder / "keep"
    program.write_text(f'#!/bin/sh\nif [ "$1" = insert ]; then cat > "{folder}/$2"; else cat "{folder}/$2"; fi\n')
    program.chmod(0o755)
    return SecretStore.model_validate({"command": f"{program} insert {{app}}", "show": f"{program} show {{app}}"})


def test_a_folder_gets_a_private_file(tmp_path: Path) -> None:
    store = SecretStore(directory=tmp_path / "new" / "secrets")
    named = new_passphrase.place(store, "shop")
    assert not new_passphrase.present(named, "shop")
    new_passphrase.make(store, "shop", repository_there=False)
    assert new_passphrase.present(named, "shop")
    path = tmp_path / "new" / "secrets" / "shop"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert len(path.read_text().strip()) >= 40
    assert path.read_text().isascii()


def test_git_must_not_get_it(tmp_path: Path) -> None:
    subprocess.run(("git", "init", "-q", str(tmp_path)), check=True)
    store = SecretStore(directory=tmp_path / "secrets")
    with pytest.raises(UsageError, match="not ignored there"):
        new_passphrase.refuse_place(store, "shop")
    with pytest.raises(UsageError, match="not ignored there"):
        new_passphrase.make(store, "shop", repository_there=False)
    assert not (tmp_path / "secrets").exists()
    (tmp_path / ".gitignore").write_text("/secrets/\n")
    new_passphrase.make(store, "shop", repository_there=False)


def test_a_command_gets_it_on_standard_input_and_gives_it_back(tmp_path: Path) -> None:
    store = command_store(tmp_path)
    named = new_passphrase.place(store, "shop")
    assert not new_passphrase.present(named, "shop")
    new_passphrase.make(store, "shop", repository_there=False)
    assert new_passphrase.present(named, "shop")
    kept = (tmp_path / "shop").read_text()
    new_passphrase.make(store, "blog", repository_there=False)
    assert kept != (tmp_path / "blog").read_text()
    assert resolve(named, "it").map(lambda value: value + "\n").reveal() == kept


def test_a_store_that_changes_it_is_found_out() -> None:
    store = SecretStore.model_validate({"command": "sh -c 'cat >/dev/null' {app}", "show": "echo other {app}"})
    with pytest.raises(AppError, match="gives back another passphrase"):
        new_passphrase.make(store, "shop", repository_there=False)


def test_pass_needs_no_show(tmp_path: Path) -> None:
    store = SecretStore.model_validate({"command": "pass insert -m cloudbackup/{app}"})
    assert new_passphrase.reference(store, "shop") == {"command": ["pass", "show", "cloudbackup/shop"]}
    with pytest.raises(UsageError, match="nothing tells how to read"):
        new_passphrase.reference(SecretStore.model_validate({"command": "vault put {app}"}), "shop")


@pytest.mark.parametrize(
    ("said", "there"), [("is not in the password store", False), ("gpg: decryption failed: No secret key", None)]
)
def test_pass_writes_over_nothing_that_it_cannot_show(
    said: str, there: bool | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "pass"
    program.write_text(f'#!/bin/sh\necho "Error: cloudbackup/shop {said}." >&2; exit 1\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    named = new_passphrase.place(SecretStore.model_validate({"command": "pass insert -m cloudbackup/{app}"}), "shop")
    if there is None:
        with pytest.raises(UsageError, match="decryption failed"):
            new_passphrase.present(named, "shop")
    else:
        assert new_passphrase.present(named, "shop") is there


def test_a_repository_without_its_passphrase_gets_no_new_one(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="there is no passphrase for it"):
        new_passphrase.make(SecretStore(directory=tmp_path), "shop", repository_there=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["folder", "command"])
@pytest.mark.parametrize("killed", range(4))
def test_another_passphrase_and_the_former_one_kept_wherever_it_was_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed: int, kind: str
) -> None:
    store = SecretStore(directory=tmp_path / "secrets") if kind == "folder" else command_store(tmp_path)
    new_passphrase.make(store, "shop", repository_there=False)
    former, steps = resolve(new_passphrase.place(store, "shop"), "it"), iter(range(9))
    read_back, make = new_passphrase._read_back, generate

    def step(act: Callable[..., object], *given: object) -> object:
        if next(steps) == killed:
            raise KeyboardInterrupt
        return act(*given)

    with monkeypatch.context() as patch, suppress(KeyboardInterrupt):
        patch.setattr(new_passphrase, "_read_back", lambda *given: step(read_back, *given))
        patch.setattr(new_passphrase, "generate", lambda: step(make))
        new_passphrase.renew(store, "shop", "shop.until-1")
    new_passphrase.renew(store, "shop", "shop.until-1")
    assert resolve(new_passphrase.place(store, "shop.until-1"), "it") == former
    new = resolve(new_passphrase.place(store, "shop"), "it")
    assert new != former
    assert not new_passphrase.renew(store, "shop", "shop.until-1")
    assert resolve(new_passphrase.place(store, "shop"), "it") == new

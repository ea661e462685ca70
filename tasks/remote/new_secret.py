"""New secrets: generated here and stored where the inventory says. An existing one is never overwritten."""

import os
import secrets
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tasks.errors import AppError, UsageError
from tasks.remote.secret import COMMAND_TIMEOUT, Secret, answered

BYTES = 32  # random bytes; 43 characters of A-Z a-z 0-9 - _, which can be typed on any keyboard and in any locale


def generate() -> Secret:
    """Return a new passphrase: ASCII, without whitespace or quotes."""
    return Secret(secrets.token_urlsafe(BYTES))


def keep_in_file(path: Path, secret: Secret) -> None:
    """Write `secret` to a new file of mode 600; its folder is created with mode 700 if missing.

    Raises UsageError for a path under version control, AppError if the file cannot be written or already exists.
    """
    refuse_version_control(path)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secret.reveal() + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise AppError(f"cannot write the secret {path}: {error.strerror}") from error


def keep_by_command(words: Sequence[str], secret: Secret) -> None:
    """Pass `secret` to a command on standard input. Raises UsageError if the command fails."""
    shown = shlex.join(words)
    try:
        done = answered(words, secret.reveal().encode() + b"\n")
    except subprocess.TimeoutExpired as error:
        raise UsageError(f"the command `{shown}` did not end within {COMMAND_TIMEOUT:.0f} seconds") from error
    except OSError as error:
        raise UsageError(f"the command `{shown}` cannot run: {error.strerror}") from error
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise UsageError(f"the command `{shown}` failed with exit code {done.returncode}", said[-1] if said else "")


def refuse_version_control(path: Path) -> None:
    """Raise UsageError for a file that git could commit: inside a work tree and not ignored."""
    above = next((folder for folder in path.absolute().parents if (folder / ".git").exists()), None)
    if above is None:
        return
    try:
        # The work tree may be somebody else's copy: `core.fsmonitor` of its .git/config would be run as a command.
        ignored = subprocess.run(
            ("git", "-c", "core.fsmonitor=false", "-C", str(above), "check-ignore", "-q", "--", str(path.absolute())),
            capture_output=True,
            check=False,
        )
        if ignored.returncode == 0:
            return
    except OSError:
        pass  # without git, there is no way to see whether it is ignored
    raise UsageError(
        f"{path} is inside the git work tree {above}, and not ignored there: git must not get a secret",
        "choose another folder in cloudbackup.yml, or add it to .gitignore",
    )

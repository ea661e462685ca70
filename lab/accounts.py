"""Accounts of a box: passwords, homes, switches, and the keys in each home's `.ssh/authorized_keys`."""

import base64
import binascii
import re
import stat
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncssh import SSHKey

AUTHORIZED_KEYS = ".ssh/authorized_keys"
MAIN_ADDRESS = "127.0.0.1"
SUBACCOUNTS = 100  # at most, of the smallest box (BX11)
SFTP_PORT, SHELL_PORT = 22, 23
SFTP_PORT_KINDS = ("ssh-rsa", "ecdsa-")
RFC4716_BEGIN, RFC4716_END = "---- BEGIN SSH2 PUBLIC KEY ----", "---- END SSH2 PUBLIC KEY ----"
_BLOCK = re.compile(rf"^{RFC4716_BEGIN}\s*\n(.*?)^{RFC4716_END}\s*$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Account:
    """A main account or a sub-account.

    `directory` is its home inside the main account's one: empty for the main account.
    """

    name: str
    password: str
    directory: str = ""
    readonly: bool = False
    ssh_enabled: bool = True


def address(name: str) -> str:
    """Return the address that stands for an account's host name, `<account>.your-storagebox.de` of a real box."""
    number = name.rpartition("-sub")[2]
    return f"127.0.0.{1 + int(number)}" if "-sub" in name and number.isdigit() else MAIN_ADDRESS


ADDRESSES = tuple(f"127.0.0.{number}" for number in range(1, SUBACCOUNTS + 2))


@dataclass(frozen=True)
class Admission:
    """A key that may log in; `command` is what it is forced to, None for any command."""

    command: str | None


def admit(home: Path, key: "SSHKey", port: int) -> Admission | None:
    """Look a client's key up on port 22 or 23, each with its own form of keys; None when it may not log in.

    Port 23 reads one-line keys as OpenSSH does: the first line with this key decides. Port 22 reads blocks of RFC 4716,
    RSA and ECDSA alone, which cannot force a key to anything (https://docs.hetzner.com/robot/storage-box/backup-space-ssh-keys).
    Refuses, as `StrictModes yes` does, when home, `.ssh` or `authorized_keys` can be written by others.
    """
    path = home / AUTHORIZED_KEYS
    try:
        if any(place.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH) for place in (home, path.parent, path)):
            return None
        text = path.read_text(errors="replace")
    except OSError:
        return None
    if port == SFTP_PORT:
        return _admission_to_sftp(text, key)
    return next(filter(None, (_admission(line, key) for line in text.splitlines())), None)


def _admission_to_sftp(text: str, key: "SSHKey") -> Admission | None:
    own = base64.b64encode(key.public_data).decode()
    known = any(own == line.split()[1] for line in _block_lines(text))
    return Admission(None) if known and key.get_algorithm().startswith(SFTP_PORT_KINDS) else None


def _admission(line: str, key: "SSHKey") -> Admission | None:
    from asyncssh import import_authorized_keys

    if not line.strip() or line.lstrip().startswith(("#", "-")):
        return None
    try:
        options = import_authorized_keys(line).validate(key, "127.0.0.1", "127.0.0.1")
    except ValueError:  # also asyncssh's KeyImportError: lines of an RFC4716 block, broken lines
        return None
    if options is None or _expired(options.get("expiry-time")):
        return None
    command = options.get("command")
    return Admission(None if command is None else str(command))


def _expired(expiry: object) -> bool:
    """Tell whether an `expiry-time` has passed: YYYYMMDD[HHMM[SS]][Z], else of the box's zone, which is UTC here."""
    if expiry is None:
        return False
    digits = str(expiry[0] if isinstance(expiry, list) else expiry).removesuffix("Z")
    for form in ("%Y%m%d", "%Y%m%d%H%M", "%Y%m%d%H%M%S"):
        try:
            return datetime.strptime(digits, form).replace(tzinfo=UTC) <= datetime.now(UTC)
        except ValueError:
            continue
    return True


def install_keys(home: Path, text: str) -> str:
    """Do what `install-ssh-key` does: add the public keys of `text`, each in the OpenSSH and the RFC4716 form.

    Known keys are not added again, modes are put right, the file ends in a newline. Returns what the command prints.
    A line with options (`command=...`) is added as it is and in no other form: the other one would be without them.
    """
    path = home / AUTHORIZED_KEYS
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.parent.chmod(0o700)
    present = path.read_text() if path.exists() else ""
    if present and not present.endswith("\n"):
        present += "\n"
    printed = []
    for number, line in enumerate(_public_lines(text), start=1):
        forms = {"OpenSSH": line + "\n"}
        words = line.split()
        if words[0].startswith(("ssh-", "ecdsa-", "sk-")):
            forms["RFC4716"] = rfc4716(line)
        for name, form in forms.items():
            if form not in present:
                present += form
                printed.append(
                    f"Key No. {number} ({' '.join((words[0], *words[2:]))}) was installed in {name} format\n"
                )
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_text(present)
    return "".join(printed) or "No new key found\n"


def _public_lines(text: str) -> list[str]:
    """Return the keys of `text` as OpenSSH lines, RFC4716 blocks converted."""
    lines = [line.strip() for line in _BLOCK.sub("", text).splitlines()]
    return [*_block_lines(text), *(line for line in lines if not line.startswith("#") and len(line.split()) > 1)]


def _block_lines(text: str) -> list[str]:
    """Return the keys in RFC4716 blocks as OpenSSH lines."""
    return [line for block in _BLOCK.findall(text) for line in _from_rfc4716(block.splitlines())]


def _from_rfc4716(lines: list[str]) -> list[str]:
    comment = "".join(line.partition(":")[2].strip().strip('"') for line in lines if line.startswith("Comment:"))
    body = "".join(line for line in lines if ":" not in line and not line.endswith("\\"))
    try:
        blob = base64.b64decode(body, validate=True)
    except binascii.Error:
        return []
    kind = blob[4 : 4 + int.from_bytes(blob[:4], "big")].decode("ascii", "replace")
    return [" ".join(word for word in (kind, body, comment) if word)]


def rfc4716(line: str) -> str:
    """Return a one-line public key in the form of RFC 4716, with a newline at its end."""
    _, body, *comment = line.split(maxsplit=2)
    pieces = [body[start : start + 70] for start in range(0, len(body), 70)]
    head = [f'Comment: "{comment[0]}"'] if comment else []
    return "\n".join([RFC4716_BEGIN, *head, *pieces, RFC4716_END, ""])

"""An account's `authorized_keys`: which keys log in, in which forms, and what they may do. Text only, no I/O."""

import base64
import hashlib
import re
import shlex
import textwrap
from dataclasses import dataclass


@dataclass(frozen=True)
class PublicKey:
    """One public key: its type ("ssh-ed25519"), its base64 blob, and a comment."""

    kind: str
    blob: str
    comment: str = ""

    @classmethod
    def parse(cls, line: str) -> "PublicKey":
        """Return the key in a line of OpenSSH's form. Raises ValueError."""
        kind, blob, *comment = line.split(maxsplit=2)
        base64.b64decode(blob, validate=True)
        return cls(kind, blob, comment[0].strip() if comment else "")

    @property
    def fingerprint(self) -> str:
        """Return the SHA256 fingerprint as ssh-keygen prints it."""
        digest = hashlib.sha256(base64.b64decode(self.blob)).digest()
        return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")

    def openssh(self) -> str:
        """Return OpenSSH's one-line form, which the box requires on port 23."""
        return " ".join(part for part in (self.kind, self.blob, self.comment) if part)

    def rfc4716(self) -> str:
        """Return the form of RFC 4716, which the box requires on port 22 (Hetzner, "SSH keys")."""
        comment = self.comment.replace('"', "'") or "cloudbackup"
        body = "\n".join(textwrap.wrap(self.blob, 70))
        return f'{BEGIN}\nComment: "{comment}"\n{body}\n{END}'


@dataclass(frozen=True)
class Entry:
    """A key in the file: the `port` of a Storage Box on which its form is valid (22 or 23), and its forced command."""

    key: PublicKey
    port: str
    command: str | None = None


BEGIN, END = "---- BEGIN SSH2 PUBLIC KEY ----", "---- END SSH2 PUBLIC KEY ----"
_LINE = re.compile(
    r'^(?:[^#\s]*?command="(?P<command>(?:[^"\\]|\\.)*)"\S* +|(?P<options>[^#\s]+) +)??'
    r"(?P<key>(?:ssh-|ecdsa-|sk-)\S+ +[A-Za-z0-9+/]+=*(?: .*)?)$"
)
_BLOCK = re.compile(rf"^{BEGIN}\n(?P<head>(?:[A-Za-z-]+: .*\n)*)(?P<blob>[^-]*)^{END}$", re.MULTILINE)


def entries(text: str) -> list[Entry]:
    """Return the keys in the file's `text`, in both forms; all other lines are skipped."""
    lines = filter(None, (_LINE.match(line.strip()) for line in text.splitlines()))
    found = [*map(_line_entry, lines), *map(_block_entry, _BLOCK.finditer(text))]
    return [entry for entry in found if entry is not None]


def _line_entry(line: re.Match[str]) -> Entry | None:
    forced_to = line["command"]
    options = re.sub(r"\\(.)", r"\1", forced_to) if forced_to is not None else line["options"]
    try:
        return Entry(PublicKey.parse(line["key"]), "23", options)
    except ValueError:
        return None


def _block_entry(block: re.Match[str]) -> Entry | None:
    blob = "".join(block["blob"].split())
    try:
        raw = base64.b64decode(blob, validate=True)
        kind = raw[4 : 4 + int.from_bytes(raw[:4], "big")].decode("ascii")
    except ValueError:
        return None
    comment = re.search(r'^Comment: "?([^"\n]*)', block["head"], re.MULTILINE)
    return Entry(PublicKey(kind, blob, comment[1] if comment else ""), "22")


def with_key(text: str, key: PublicKey, port: str) -> str:
    """Return the file `text` with full access for `key` on port 22, 23 or "both", adding the forms that are missing."""
    if port != "22":
        return with_full_access(text, key, both_ports=port == "both")
    return text if _has_rfc4716(text, key) else _file([*text.splitlines(), key.rfc4716()])


def without_key(text: str, key: PublicKey) -> str:
    """Return the file `text` without `key`, in any form and with any forced command."""
    rest = _BLOCK.sub(lambda block: "" if "".join(block["blob"].split()) == key.blob else block[0], text)
    return _file([line for line in rest.splitlines() if key.blob not in line.split()])


def forced(key: PublicKey, command: str) -> str:
    """Return the line that allows `key` only to run `command` (sshd(8), AUTHORIZED_KEYS FILE FORMAT)."""
    return f"{_options(command)} {key.openssh()}"


def _options(command: str) -> str:
    escaped = command.replace("\\", "\\\\").replace('"', '\\"')
    return f'command="{escaped}",restrict'


def with_full_access(text: str, key: PublicKey, *, both_ports: bool) -> str:
    """Return the file `text` with full access for `key`, each missing form added once."""
    lines = text.splitlines()
    if not any(_is_plain(line, key) for line in lines):
        lines = [line for line in lines if key.blob not in line.split()]
        lines.append(key.openssh())
    if both_ports and not _has_rfc4716(text, key):
        lines.append(key.rfc4716())
    return _file(lines)


def accesses_lost(text: str, key: PublicKey, command: str) -> list[str]:
    """Return what `key` may do according to the file `text` but no longer once it is forced to `command`.

    Another program for the same repository is not a loss: a storage's `borg` may change.
    """
    found = [entry.command or "everything" for entry in entries(text) if entry.key.blob == key.blob]
    return [each for each in dict.fromkeys(found) if each != command and _repository(each) != _repository(command)]


def opening(text: str, command: str) -> list[PublicKey]:
    """Return the keys in the file `text` that are forced to the repository of `command`, whatever the program."""
    return [each.key for each in entries(text) if each.command and _repository(each.command) == _repository(command)]


def _repository(command: str) -> tuple[str, ...]:
    """Return the words of a forced `borg serve` without the program; all words of any other command."""
    try:
        words = shlex.split(command)
    except ValueError:
        return (command,)
    return tuple(words[words.index("serve") :] if "serve" in words else words)


def with_forced_command(text: str, key: PublicKey, command: str) -> str:
    """Return the file `text` with `key` forced to `command`, once; all other lines keep their place."""
    forced_line = forced(key, command)
    lines = [line for line in text.splitlines() if line == forced_line or key.blob not in line.split()]
    return _file(
        lines if lines.count(forced_line) == 1 else [*(line for line in lines if line != forced_line), forced_line]
    )


def without_forced_command(text: str, command: str, comment: str | None = None) -> str:
    """Return the file `text` without the keys forced to `command` (with `comment`, if given); other lines stay."""
    kept = []
    for line in text.splitlines():
        _, ours, key = line.partition(f"{_options(command)} ")
        if not ours or not line.startswith(ours) or (comment is not None and key.split(maxsplit=2)[2:] != [comment]):
            kept.append(line)
    return _file(kept)


def _is_plain(line: str, key: PublicKey) -> bool:
    return line.split()[:2] == [key.kind, key.blob]


def _has_rfc4716(text: str, key: PublicKey) -> bool:
    return "\n".join(textwrap.wrap(key.blob, 70)) in text


def _file(lines: list[str]) -> str:
    """Return the lines as a file that ends with a newline, as the box requires."""
    return "".join(f"{line}\n" for line in lines if line.strip())

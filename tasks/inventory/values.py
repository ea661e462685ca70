"""The values in inventory files, each parsed from text into an immutable Python value."""

import base64
import binascii
import posixpath
import re
import shlex
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, PlainValidator, WithJsonSchema

NAME = r"^[a-z0-9](?:[a-z0-9_-]|\.(?!\.))*$"
NAME_LENGTH = 64
RESERVED = ("records",)
DURATION = r"^[1-9][0-9]{0,5}[smhdw]$"
DAY = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
HOURS = r"^[1-9][0-9]{0,5}[hdw]$"
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
HOST = r"^(?:[A-Za-z0-9_.][A-Za-z0-9_.@+-]*@)?[A-Za-z0-9_.:\[][A-Za-z0-9_.:%\[\]-]*$"
HOST_NAME = r"^[A-Za-z0-9_.:\[][A-Za-z0-9_.:%\[\]-]*$"
USER = r"^[A-Za-z0-9_.][A-Za-z0-9_.+-]*$"
PROGRAM = r"^[A-Za-z0-9_./][A-Za-z0-9_./+-]*$"
CONTAINER = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,254}"
LINE = r"^[^\n\x00]+$"
PLAIN = r"^[A-Za-z0-9._/-]*$"
# borg 1.2 and 1.4, `borg help compression`: obfuscate and auto precede the compressor that they wrap.
COMPRESSION = (
    r"^(?:obfuscate,[0-9]{1,3},)?(?:none|(?:auto,)?(?:lz4|zstd(?:,[0-9]{1,2})?|zlib(?:,[0-9])?|lzma(?:,[0-9])?))$"
)
# What `ssh-keyscan` can print; DSA is gone from OpenSSH.
HOST_KEY_TYPES = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "ssh-rsa",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
)
HOST_KEY = rf"^(?:{'|'.join(kind.replace('.', '[.]') for kind in HOST_KEY_TYPES)}) [A-Za-z0-9+/]+={{0,2}}$"
SHELL_OPERATORS = frozenset({"&&", "||", "|", ";", "&", ">", ">>", "<", "2>", "2>&1"})
CHUNK_SIZES = {"auto": None} | {f"{size}KiB": size * 1024 for size in (16, 32, 64, 128, 256, 512, 1024)}


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("must be text: put quotes around it")  # noqa: TRY004  # pydantic collects ValueError only
    return value


def read_name(value: object) -> str:
    """Return an app's or storage's name. Raises ValueError with the rule that it breaks."""
    text = _text(value)
    if len(text) > NAME_LENGTH:
        raise ValueError(f"a name has at most {NAME_LENGTH} characters")
    if not re.fullmatch(NAME, text):
        raise ValueError(
            "a name begins with a-z or 0-9, and has only a-z, 0-9, `_`, `.`, `-` after that, no two dots in a row"
        )
    return text


def read_names(value: object) -> str | tuple[str, ...]:
    """Return one name, or several distinct ones."""
    if not isinstance(value, list | tuple):
        return read_name(value)
    names = tuple(map(read_name, value))
    if not names:
        raise ValueError("names none")
    if len(set(names)) < len(names):
        raise ValueError("names one of them twice")
    return names


def read_tags(value: object) -> tuple[str, ...]:
    """Return the tags of an app, from a list or a single one; an empty tuple is that of an app without any."""
    if value == ():
        return ()
    names = read_names(value)
    return (names,) if isinstance(names, str) else names


def read_day(value: object) -> date:
    """Return the day of a text such as `2026-12-24`. Raises ValueError for others, and for days that do not exist."""
    if isinstance(value, date):
        return value
    if not isinstance(value, str) or not re.fullmatch(DAY, value):
        raise ValueError("must be a day, such as 2026-12-24")
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise ValueError(f"{value} is not in the calendar: write a day such as 2026-12-24") from None


def read_containers(value: object) -> tuple[str, ...]:
    """Return names of containers: one, or several."""
    names = tuple(value) if isinstance(value, list | tuple) else (value,)
    if not all(isinstance(name, str) and re.fullmatch(CONTAINER, name) for name in names):
        raise ValueError("must be names of containers: a-z, A-Z, 0-9 and _ . -")
    return names


def read_app_name(value: object) -> str:
    """Return an app's name, which must not be that of another folder beside the repositories."""
    name = read_name(value)
    if name in RESERVED:
        raise ValueError(f"the name {name} is taken by a folder beside the repositories")
    return name


def read_duration(value: object) -> timedelta:
    """Return the duration of texts such as `90m`, `26h`, `2d`, `1w`; raises ValueError for others."""
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str) or not re.fullmatch(DURATION, value):
        raise ValueError("must be a whole number and a unit: 30s, 90m, 26h, 2d or 1w")
    return timedelta(**{UNITS[value[-1]]: int(value[:-1])})


def read_hours(value: object) -> timedelta:
    """Return a duration in hours, days or weeks: borg 1.2 has no shorter unit for `--keep-within`."""
    if isinstance(value, str) and not re.fullmatch(HOURS, value):
        raise ValueError("must be a whole number of hours, days or weeks: 48h, 2d or 1w")
    return read_duration(value)


def read_words(value: object) -> tuple[str, ...]:
    """Return a command's words, from one string, split like a shell does, or from a list of words."""
    words = _split(value) if isinstance(value, str) else value
    if not isinstance(words, Sequence) or not all(isinstance(word, str) for word in words):
        raise ValueError("must be a command: one text, or a list of words in quotes")
    if not words or not words[0].strip():
        raise ValueError("must name a command")
    if any("\0" in word for word in words):
        raise ValueError("must not hold a NUL character")
    return tuple(words)


def _split(text: str) -> list[str]:
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise ValueError("has a quotation mark or backslash without its end") from error
    if SHELL_OPERATORS.intersection(words):
        raise ValueError("runs without a shell: write [bash, -c, '...'] for pipes, `&&` and redirections")
    return words


def read_commands(value: object) -> tuple[tuple[str, ...], ...]:
    """Return commands, from a list of them (each a text or a list of words) or from one text."""
    commands = [value] if isinstance(value, str) else value
    if not isinstance(commands, Sequence):
        raise ValueError("must be a list of commands")  # noqa: TRY004  # pydantic collects ValueError only
    return tuple(read_words(command) for command in commands)


def read_line(value: object) -> str:
    """Return a non-empty text of one line."""
    text = _text(value)
    if not re.fullmatch(LINE, text):
        raise ValueError("must be one line of text, not empty")
    return text


def read_host_path(value: object) -> str:
    """Return an absolute path on a host, without duplicate or trailing slashes; nothing in it is expanded."""
    text = read_line(value)
    if not text.startswith("/"):
        raise ValueError("must be an absolute path: it begins with /")
    parts = [part for part in text.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise ValueError("must not hold `..`")
    return posixpath.join("/", *parts)


def read_relative(value: object) -> str:
    """Return a path relative to an account's home that does not leave it."""
    text = read_line(value)
    if text.startswith(("/", "~", "-")):
        raise ValueError("must be relative to the account's home: no / or ~ or - at its beginning")
    parts = [part for part in text.split("/") if part not in ("", ".")]
    if ".." in parts or not parts:
        raise ValueError("must name a folder inside the account's home: no `..`, not empty")
    return "/".join(parts)


def read_box_directory(value: object) -> str:
    """Return a directory on a Storage Box, whose restricted shell does not support quoting."""
    text = read_relative(value)
    if not re.fullmatch(PLAIN, text):
        raise ValueError("may hold only letters, digits and . _ / - on a Storage Box")
    return text


def read_directory(value: object) -> str:
    """Return a directory on an SSH server: absolute, or relative to the account's home."""
    return read_host_path(value) if isinstance(value, str) and value.startswith("/") else read_relative(value)


def read_operator_path(value: object) -> Path:
    """Return an absolute path on the operator's machine; a leading `~/` means the operator's home."""
    text = read_line(str(value) if isinstance(value, Path) else value)
    if text == "~" or text.startswith("~/"):
        try:
            return Path(text).expanduser()
        except RuntimeError as error:
            raise ValueError("begins with ~, but no home is known: set HOME") from error
    if not text.startswith("/"):
        raise ValueError("must be an absolute path, or begin with ~/")
    return Path(text)


def read_host(value: object) -> str:
    """Return `local` or `[user@]host` as ssh takes it."""
    text = _text(value)
    _refuse_port(text, "write [user@]host here, and `ssh: {port: 22}` below")
    if not re.fullmatch(HOST, text):
        raise ValueError("must be `local` or [user@]host as in ssh, without spaces and quotes")
    return text


def read_host_name(value: object) -> str:
    """Return the name or address of a storage's server."""
    text = _text(value)
    _refuse_port(text, "write the name alone here, and `port: 22` below")
    if not re.fullmatch(HOST_NAME, text):
        raise ValueError("must be a host's name or address")
    return text


def _refuse_port(text: str, instead: str) -> None:
    """Raise ValueError for a host with a port, or with brackets that are not around all of an IPv6 address."""
    name = text.rpartition("@")[2]
    if text.startswith(("ssh://", "sftp://")) or re.fullmatch(r"(?:\[[^\[\]]*\]|[^:\[\]]+):[0-9]+", name):
        raise ValueError(f"has no place for a port: {instead}")
    if re.search(r"[\[\]]", name) and not re.fullmatch(r"\[[^\[\]]+\]", name):
        raise ValueError("has brackets that are not around all of an IPv6 address, as in [2001:db8::1]")


def read_host_key(value: object) -> str:
    """Return a public host key as `type base64`, verified to be one (RFC 4253, section 6.6)."""
    text = _text(value).strip()
    if not re.fullmatch(HOST_KEY, text):
        raise ValueError(
            "must be one line of type and key, such as `ssh-ed25519 AAAA...`, without host name or comment"
        )
    kind, _, encoded = text.partition(" ")
    try:
        blob = base64.b64decode(encoded, validate=True)
    except binascii.Error as error:
        raise ValueError("is not whole: its base64 part does not decode") from error
    if not blob.startswith(len(kind).to_bytes(4, "big") + kind.encode()):
        raise ValueError(f"is not a key of type {kind}: copy the whole line again")
    return text


def read_chunk_size(value: object) -> int | None:
    """Return a chunk size in bytes, or None for `auto`."""
    if value is None or (isinstance(value, int) and value in CHUNK_SIZES.values()):
        return value
    if not isinstance(value, str) or value not in CHUNK_SIZES:
        raise ValueError(f"must be one of {', '.join(CHUNK_SIZES)}")
    return CHUNK_SIZES[value]


def matching(pattern: str, meaning: str) -> PlainValidator:
    """Return a validator that accepts texts matching all of `pattern`, else reports `must be <meaning>`."""

    def read(value: object) -> str:
        text = _text(value)
        if not re.fullmatch(pattern, text):
            raise ValueError(f"must be {meaning}")
        return text

    return PlainValidator(read)


def _schema(pattern: str = LINE, **more: Any) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": pattern, **more})


_WORD_LIST = {"type": "array", "items": {"type": "string"}, "minItems": 1}
_COMMAND = {"anyOf": [{"type": "string", "minLength": 1}, _WORD_LIST]}
_INSIDE = r"^(?![/~-])(?!(?:.*/)?\.\.(?:/|$))[^\n\x00]+$"
_ABSOLUTE_INSIDE = r"^/(?!(?:.*/)?\.\.(?:/|$))[^\n\x00]*$"

_NAME_SCHEMA = {"type": "string", "pattern": NAME, "maxLength": NAME_LENGTH}
_NAMES_SCHEMA = {"type": "array", "items": _NAME_SCHEMA}
_ONE_OR_SEVERAL = WithJsonSchema(
    {"anyOf": [_NAME_SCHEMA, {"type": "array", "items": _NAME_SCHEMA, "minItems": 1, "uniqueItems": True}]}
)
Names = Annotated[str | tuple[str, ...], PlainValidator(read_names), _ONE_OR_SEVERAL]
Tags = Annotated[tuple[str, ...], PlainValidator(read_tags), _ONE_OR_SEVERAL]
Day = Annotated[date, PlainValidator(read_day), _schema(DAY, examples=["2026-12-24"])]
AppName = Annotated[str, PlainValidator(read_app_name), _schema(NAME, maxLength=NAME_LENGTH)]
Name = Annotated[str, PlainValidator(read_name), _schema(NAME, maxLength=NAME_LENGTH)]
Duration = Annotated[timedelta, PlainValidator(read_duration), _schema(DURATION, examples=["90m", "26h", "2d", "1w"])]
Hours = Annotated[timedelta, PlainValidator(read_hours), _schema(HOURS, examples=["48h", "2d"])]
Words = Annotated[tuple[str, ...], PlainValidator(read_words), WithJsonSchema(_COMMAND)]
_CONTAINER_SCHEMA = {"type": "string", "pattern": f"^{CONTAINER}$"}
Containers = Annotated[
    tuple[str, ...],
    PlainValidator(read_containers),
    WithJsonSchema({"anyOf": [_CONTAINER_SCHEMA, {"type": "array", "items": _CONTAINER_SCHEMA}]}),
]
Commands = Annotated[
    tuple[tuple[str, ...], ...],
    PlainValidator(read_commands),
    WithJsonSchema({"anyOf": [{"type": "string", "minLength": 1}, {"type": "array", "items": _COMMAND}]}),
]
Line = Annotated[str, PlainValidator(read_line), _schema()]
HostPath = Annotated[str, PlainValidator(read_host_path), _schema(_ABSOLUTE_INSIDE)]
BoxDirectory = Annotated[
    str,
    PlainValidator(read_box_directory),
    WithJsonSchema({"type": "string", "allOf": [{"pattern": _INSIDE}, {"pattern": PLAIN}]}),
]
Directory = Annotated[
    str,
    PlainValidator(read_directory),
    WithJsonSchema({"type": "string", "anyOf": [{"pattern": _INSIDE}, {"pattern": _ABSOLUTE_INSIDE}]}),
]
OperatorPath = Annotated[Path, PlainValidator(read_operator_path), _schema(r"^(?:~$|~/|/)[^\n\x00]*$")]
Target = Annotated[str, PlainValidator(read_host), _schema(HOST)]
HostName = Annotated[str, PlainValidator(read_host_name), _schema(HOST_NAME)]
User = Annotated[str, matching(USER, "an account's name"), _schema(USER)]
Program = Annotated[str, matching(PROGRAM, "a program's name or path"), _schema(PROGRAM)]
HostKey = Annotated[str, PlainValidator(read_host_key), _schema(HOST_KEY)]
PAGE = r"^https?://[A-Za-z0-9.-]+(?::[0-9]+)?(?:/[A-Za-z0-9._~/%?=&+-]*)?$"
Page = Annotated[str, matching(PAGE, "an address, such as https://backups.example.org/"), _schema(PAGE)]
Compression = Annotated[
    str,
    matching(COMPRESSION, "a compression of borg's: none, lz4, zstd,N, zlib,N, lzma,N, or auto,... of these"),
    _schema(COMPRESSION, examples=["lz4", "zstd,3", "auto,zstd,6"]),
]
ChunkSize = Annotated[int | None, PlainValidator(read_chunk_size), WithJsonSchema({"enum": list(CHUNK_SIZES)})]


Port = Annotated[int, Field(ge=1, le=65535)]
ENDPOINT = r"^https?://[A-Za-z0-9.:\[\]-]+(?:/[A-Za-z0-9._/-]*)?$"

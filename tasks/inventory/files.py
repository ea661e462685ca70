"""The source `files` in an app's file: which files to save, and the conditions that they must meet."""

import re
from typing import Annotated, Literal, Self

from pydantic import Field, PlainValidator, WithJsonSchema, model_validator

from tasks.inventory.patterns import Pattern, Rule, Tag
from tasks.inventory.secrets import Strict
from tasks.inventory.values import Commands, HostPath, read_host_path

SIZE = r"^[1-9][0-9]{0,14}(?:\.[0-9]{1,3})? ?(?:[kMGT]?B)$"
UNITS = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
DIGEST = "^[0-9a-f]{64}$"


def read_size(value: object) -> int:
    """Return the bytes of texts such as `500MB` and `1.5GB` (powers of ten); raises ValueError for others."""
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    if not isinstance(value, str) or not re.fullmatch(SIZE, value):
        raise ValueError("must be a size: 500kB, 20MB, 1.5GB or 2TB")
    number, unit = re.fullmatch(r"([0-9.]+) ?([kMGT]?B)", value).groups()  # type: ignore[union-attr]
    return round(float(number) * UNITS[unit])


Size = Annotated[
    int,
    PlainValidator(read_size),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": SIZE}, {"type": "integer", "minimum": 1}]}),
]


def read_digests(value: object) -> tuple[tuple[str, str], ...]:
    """Return paths with the expected SHA-256 of each. Raises ValueError."""
    if not isinstance(value, dict) or not value:
        raise ValueError("must be absolute paths, each with its SHA-256: {/srv/shop/logo.png: 9f86d0...}")
    for path, digest in value.items():
        if not isinstance(digest, str) or not re.fullmatch(DIGEST, digest):
            raise ValueError(f"has for {path} no SHA-256: 64 of 0-9 and a-f, in quotes, as `sha256sum` shows it")
    return tuple((read_host_path(path), digest) for path, digest in value.items())


Digests = Annotated[
    tuple[tuple[str, str], ...],
    PlainValidator(read_digests),
    WithJsonSchema(
        {
            "type": "object",
            "minProperties": 1,
            "propertyNames": {"pattern": "^/"},
            "additionalProperties": {"type": "string", "pattern": DIGEST},
        }
    ),
]


class Expect(Strict):
    """What is known of an app's files, beyond what the backups before tell."""

    min_size: Size | None = Field(None, description="an archive that holds less is suspect: 500MB, 1.5GB")
    min_files: int | None = Field(None, ge=1, description="an archive with fewer files is suspect")
    mounted: tuple[HostPath, ...] = Field(
        (), description="where a file system must be mounted; an archive is incomplete without it"
    )


class VerifyFiles(Strict):
    """What a drill asks of restored files: of those that are known, and of any by commands."""

    sha256: Digests = Field((), description="files that never change, and the SHA-256 of each, as `sha256sum` shows it")
    paths: tuple[HostPath, ...] = Field((), description="what is restored besides, for the commands to look at")
    commands: Commands = Field(
        (),
        description="commands that end with 0 when they find the restored files sound; they run in the folder of the "
        "restored files, which CLOUDBACKUP_RESTORED names, behind walls",
    )

    @model_validator(mode="after")
    def _something_to_look_at(self) -> Self:
        if self.commands and not (self.paths or self.sha256):
            raise ValueError("has commands and no paths: name under paths what they look at")
        if self.paths and not self.commands:
            raise ValueError("has paths and no commands that look at them")
        return self

    @property
    def asked(self) -> bool:
        """Whether any check is configured."""
        return bool(self.sha256 or self.commands)


class Files(Strict):
    """The source `files`."""

    paths: tuple[HostPath, ...] = Field(
        min_length=1, description="absolute paths on the host; where one is a link, what it leads to is saved as well"
    )
    optional: tuple[HostPath, ...] = Field((), description="paths that may be absent or empty")
    patterns: tuple[Rule, ...] = Field(
        (),
        description="borg's patterns, each after a sign: + saves, - leaves out and looks below it for what a + saves, "
        "! leaves out with all below; the first that matches decides, before `exclude` and `patterns_from`",
    )
    exclude: tuple[Pattern, ...] = Field((), description="borg's exclude patterns; quote those that begin with *")
    patterns_from: tuple[HostPath, ...] = Field((), description="files of such patterns, on the host")
    exclude_if_present: tuple[Tag, ...] = Field(
        (), description="names of files; of a folder with one of them only the folder and that file are saved"
    )
    mounts: Literal["cross", "leave"] | None = Field(
        None,
        description="file systems mounted inside a path: cross saves them too, leave leaves them out; where nothing is "
        "said, an archive without them is incomplete",
    )
    one_file_system: bool | None = Field(
        None, description="an older word: true is `mounts: leave`, false is `mounts: cross`"
    )
    exclude_caches: bool = Field(default=True, description="leave out folders with a CACHEDIR.TAG")
    nodump: bool = Field(default=False, description="leave out files and folders with the flag nodump (`chattr +d`)")
    expect: Expect = Field(Expect(), description="what must be true of each archive")
    verify: VerifyFiles = Field(VerifyFiles(), description="what each drill asks of restored files")

    @model_validator(mode="after")
    def _one_word_on_mounts(self) -> Self:
        if self.mounts is not None and self.one_file_system is not None:
            raise ValueError("has mounts and one_file_system, which say the same: keep mounts")
        return self

    @property
    def inner_mounts(self) -> Literal["cross", "leave"] | None:
        """How file systems mounted inside a path are treated; None if the inventory does not say."""
        if self.one_file_system is None:
            return self.mounts
        return "leave" if self.one_file_system else "cross"

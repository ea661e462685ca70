"""The state of a repository that its folder shows without borg: last transaction, `config`, number of live objects.

Borg 1 keeps `index.N` and `hints.N` beside the data, N being the last transaction (borg's `docs/internals`); both are
written by `borg serve`, so a host whose key may only append cannot forge them. It can overwrite single objects, which
no listing shows. But while nothing is pruned, objects in earlier segments stay live, except the manifest, so their
number reveals it: in 1.2.4 and 1.4.5 both an overwritten and a deleted object lower their segment's count.
"""

import configparser
import hashlib
import posixpath
import re
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from tasks.remote.files import Files, FilesError
from tasks.storage.survey import Mark, mark

_AUXILIARY = re.compile(r"(index|hints|integrity)\.([0-9]{1,10})")
_HEADER = struct.Struct("<8sii2b")  # of index.N: magic, entries, buckets, sizes of key and value (_hashindex.c)
_MAGIC = b"BORG_IDX"
_BUCKET = struct.Struct("<32sII")  # key, segment, offset
_MANIFEST = bytes(32)  # its key, which borg looks up starting at the first bucket
_GONE = 0xFFFFFFFE  # segment numbers from here on mark empty or deleted buckets
_START = _HEADER.size + 256 * _BUCKET.size  # bytes of index.N that are enough to find the manifest
_PARTIAL_CHECK = b"last_segment_checked"  # a key in `config` that `borg check --max-duration` writes


@dataclass(frozen=True)
class State:
    """The transaction N, the SHA-256 of `config`, and the number of live objects in each segment; None if unknown.

    `key_sha256` is that of the key in `config`; `manifest` is the number of the segment with the manifest.
    """

    transaction: int | None = None
    config_sha256: str | None = None
    manifest: int | None = None
    segments: Mapping[int, int] | None = field(default=None, repr=False)
    key_sha256: str | None = None

    @property
    def objects(self) -> int | None:
        """Return the number of live objects, without the manifest."""
        return self.objects_up_to(self.transaction) if self.transaction is not None else None

    def objects_up_to(self, transaction: int) -> int | None:
        """Return how many of the objects left by a transaction are still live in their segments."""
        if self.segments is None or self.manifest is None:
            return None
        count = sum(alive for segment, alive in self.segments.items() if segment <= transaction)
        return count - (self.manifest <= transaction)


def read_state(files: Files, folder: str) -> State:
    """Return the state of the repository in `folder`. Raises FilesError if its `config` cannot be read."""
    return read_marked(files, folder)[1]


def read_marked(files: Files, folder: str) -> tuple[Mark | None, State]:
    """Return the mark and the state of the repository in `folder`, of one moment; no mark if a part of it is missing.

    Raises FilesError if its `config` cannot be read.
    """
    for _ in range(3):  # a committing borg replaces these files with the next ones
        number = newest_transaction(_names(files, folder))
        names = ("config", f"hints.{number}", f"index.{number}", f"integrity.{number}")
        paths = [posixpath.join(folder, name) for name in (names if number is not None else names[:1])]
        read = files.read_each(paths, dict.fromkeys(paths[2:3], _START))
        config = _present(read[paths[0]])
        found = State(config_sha256=config_sha256(config), key_sha256=key_sha256(config))
        if number is None:
            break
        hints, index, integrity = (read[path] for path in paths[1:])
        if not _is_missing(hints) and not _is_missing(index):
            manifest, segments = manifest_segment(_present(index)), living(_present(hints))
            state = replace(found, transaction=number, manifest=manifest, segments=segments)
            return (None if isinstance(integrity, FilesError) else mark(number, integrity, config)), state
    return None, found


def _names(files: Files, folder: str) -> list[str]:
    """Return the names in a repository's folder; none where it is missing, since the error is about its `config`."""
    try:
        return files.names(folder)
    except FilesError as error:
        if not error.missing:
            raise
        return []


def _present(read: bytes | FilesError) -> bytes:
    if isinstance(read, FilesError):
        raise read
    return read


def _is_missing(read: bytes | FilesError) -> bool:
    return isinstance(read, FilesError) and read.missing


def config_sha256(config: bytes) -> str:
    """Return the SHA-256 of a repository's `config`, which contains its key.

    The progress of a partial check is left out, and so is the blank line that `borg key import` appends to the key
    (tried, 1.2.4 and 1.4.5): a key that was restored from escrow matches the recorded one.
    """
    lines = [line for line in config.splitlines(keepends=True) if not line.startswith(_PARTIAL_CHECK)]
    lines = [line for line in lines if line != b"\t\n"]
    return hashlib.sha256(b"".join(lines)).hexdigest()


def key_sha256(config: bytes) -> str | None:
    """Return the SHA-256 of the key in a repository's `config`, without whitespace; None if there is no key."""
    parser = configparser.ConfigParser(interpolation=None)  # as borg reads it
    try:
        parser.read_string(config.decode())
        key = "".join(parser.get("repository", "key", fallback="").split())
    except (configparser.Error, UnicodeDecodeError):
        return None
    return hashlib.sha256(key.encode()).hexdigest() if key else None


def newest_transaction(names: Iterable[str]) -> int | None:
    """Return N of the newest `index.N` among the names in a repository's folder; None if there is none."""
    found = (match for match in map(_AUXILIARY.fullmatch, names) if match and match[1] == "index")
    return max((int(match[2]) for match in found), default=None)


def living(hints: bytes) -> Mapping[int, int] | None:
    """Return the number of live objects in each segment, from the bytes of `hints.N`; None if they cannot be parsed."""
    import msgpack

    try:
        segments = msgpack.unpackb(hints, strict_map_key=False, raw=True)[b"segments"]
        return {int(segment): int(alive) for segment, alive in segments.items()}
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, msgpack.UnpackException):
        return None


def manifest_segment(index: bytes) -> int | None:
    """Return the manifest's segment, from the first bytes of `index.N`; None if it is not found there."""
    if len(index) < _HEADER.size or _HEADER.unpack_from(index)[0] != _MAGIC:
        return None
    rest = memoryview(index)[_HEADER.size :]
    for key, segment, _ in _BUCKET.iter_unpack(rest[: len(rest) // _BUCKET.size * _BUCKET.size]):
        if key == _MANIFEST and segment < _GONE:
            return int(segment)
    return None

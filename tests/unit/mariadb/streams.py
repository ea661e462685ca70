"""Builders of mbstream chunks, and Hypothesis strategies of whole streams."""

import io
import struct
import tarfile
import zlib
from dataclasses import dataclass, field

from hypothesis import strategies as st

from tasks.mariadb.host import align


@dataclass(frozen=True)
class Chunk:
    """One chunk as bytes, and where in them its data begins (None when it has none)."""

    raw: bytes
    data_at: int | None = None


def head(kind: bytes, path: bytes, flags: int = 0) -> bytes:
    return b"XBSTCK01" + bytes([flags]) + kind + struct.pack("<I", len(path)) + path


def data(path: bytes, offset: int, content: bytes, flags: int = 0, kind: bytes = b"P") -> Chunk:
    before = head(kind, path, flags) + struct.pack("<QQI", len(content), offset, zlib.crc32(content))
    return Chunk(before + content, len(before))


def end(path: bytes) -> Chunk:
    return Chunk(head(b"E", path))


def seek(path: bytes, offset: int) -> Chunk:
    return Chunk(head(b"S", path) + struct.pack("<Q", offset))


def remove(path: bytes) -> Chunk:
    return Chunk(head(b"D", path))


def rename(old: bytes, new: bytes) -> Chunk:
    return Chunk(head(b"R", old) + struct.pack("<I", len(new)) + new)


def last_files(prefix: bytes) -> list[Chunk]:
    names = [prefix + name for name in (b"checkpoints", b"info")]
    return [chunk for name in names for chunk in (data(name, 0, b"uuid = 1\n"), end(name))]


def joined(chunks: list[Chunk]) -> bytes:
    return b"".join(chunk.raw for chunk in chunks)


@dataclass
class Written:
    """A target that keeps each write."""

    writes: list[bytes] = field(default_factory=list)

    def write(self, data: bytes | memoryview, /) -> int:
        self.writes.append(bytes(data))
        return len(data)


def written(stream: bytes, size: int) -> list[bytes]:
    """Run the filter in this process on a stream that mariadb-backup completed; return its writes."""
    target = Written()
    reader: io.BufferedReader = io.BufferedReader(io.BytesIO(stream + align.COMPLETED))
    aligner = align.Aligner(reader, target, size)
    aligner.copy()
    aligner.tar.end()
    return target.writes


def members_of(tar: bytes) -> list[tuple[str, bytes]]:
    """Return name and content of each member of a tar."""
    with tarfile.open(fileobj=io.BytesIO(tar), mode="r|", errors="strict") as opened:
        return [(each.name, content.read()) for each in opened if (content := opened.extractfile(each)) is not None]


def aligned(stream: bytes, size: int) -> bytes:
    """Run the filter in this process; return the stream that it makes of one."""
    return b"".join(content for _, content in members_of(b"".join(written(stream, size))))


def chunks_of(stream: bytes) -> list[tuple[bytes, bytes, Chunk, int]]:
    """Split a stream of P and E chunks (and S, D, R) into (type, path, chunk, place)."""
    found, at = [], 0
    while at < len(stream):
        magic, _, kind, length = struct.unpack_from("<8sBcI", stream, at)
        assert magic == b"XBSTCK01"
        begin, at = at, at + 14
        path, at = stream[at : at + length], at + length
        data_at = None
        if kind in b"SR":
            at += 8 if kind == b"S" else 4 + struct.unpack_from("<I", stream, at)[0]
        elif kind not in b"ED":
            at += 20
            data_at = at - begin
            at += struct.unpack_from("<Q", stream, at - 20)[0]
        found.append((kind, path, Chunk(stream[begin:at], data_at), begin))
    return found


SIZES = st.sampled_from([16, 64, 512, 4096])


@st.composite
def files(draw: st.DrawFn, number: int) -> list[Chunk]:
    """All chunks of one file, in order."""
    path = b"d%d/" % number + draw(st.binary(min_size=1, max_size=8))
    flags = draw(st.sampled_from([0, 0, 0, 2]))
    offset, made = 0, []
    for length in draw(st.lists(st.one_of(st.integers(0, 40), st.integers(500, 9000)), max_size=4)):
        if draw(st.integers(0, 9)) == 0:
            offset += 100
            made.append(seek(path, offset))
        made.append(data(path, offset, draw(st.binary(min_size=1, max_size=3)) * length if length else b"", flags))
        content_length = len(made[-1].raw) - (made[-1].data_at or 0)
        offset += content_length
    made.append(end(path))
    made.extend(draw(st.sampled_from([[], [], [remove(b"gone")], [rename(path, path + b".new")]])))
    return made


@st.composite
def whole_streams(draw: st.DrawFn) -> list[Chunk]:
    """A whole backup: files whose chunks mix, as those of several threads do, then the last files."""
    rows = [draw(files(number)) for number in range(draw(st.integers(0, 4)))]
    mixed = []
    while any(rows):
        row = draw(st.sampled_from([row for row in rows if row]))
        mixed.append(row.pop(0))
    return mixed + last_files(draw(st.sampled_from([b"xtrabackup_", b"mariadb_backup_"])))

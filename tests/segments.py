"""Segments of a borg repository, looked into by tests that damage one: what is flipped must be what is meant."""

import struct
from collections.abc import Iterator
from pathlib import Path


def entries(segment: Path) -> Iterator[tuple[int, int]]:
    """Yield where each entry of a segment begins, and its size in bytes (borg's LoggedIO: checksum, size, tag)."""
    raw = segment.read_bytes()
    start = len(b"BORG_SEG")
    while start < len(raw):
        _, size, _ = struct.unpack_from("<IIB", raw, start)
        yield start, size
        start += size

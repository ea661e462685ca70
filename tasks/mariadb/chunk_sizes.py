"""The chunk size of a database's archives: the smallest that fits into borg's memory on the host."""

import math

KIB = 1024
MIB = 1024 * KIB
SIZES = tuple(power * KIB for power in (16, 32, 64, 128, 256, 512, 1024))  # 16 KiB is the size of InnoDB's pages
BYTES_PER_CHUNK = 250  # of borg's peak memory; 190 to 206 were measured with borg 1.2.4 and members of 10 to 64 MiB
MOST_MEMORY = 1024 * MIB
GROWTH = 1.5  # the size is kept for the repository's life, so it allows for the database to grow; see `outgrown`


def budget(memory_available: int | None) -> int:
    """Return the bytes of memory that borg's list of chunks may use on a host that has `memory_available` bytes.

    None if the host did not report it.
    """
    return MOST_MEMORY if memory_available is None else min(MOST_MEMORY, memory_available // 4)


def memory(size: float, chunk_size: int) -> int:
    """Return the bytes of memory that borg's list of chunks needs for `size` bytes of data."""
    return math.ceil(size / chunk_size) * BYTES_PER_CHUNK


def choose(size: int, memory_available: int | None) -> int:
    """Return the chunk size in bytes for a database of `size` bytes on its first backup.

    Later backups must use the same size, or they deduplicate against nothing.
    """
    allowed = budget(memory_available)
    fitting = (chunk_size for chunk_size in SIZES if memory(GROWTH * size, chunk_size) <= allowed)
    return next(fitting, SIZES[-1])


def outgrown(size: int, chunk_size: int, memory_available: int | None) -> bool:
    """Return whether a database needs more than twice the intended memory, so that a person should choose another
    size.
    """
    return chunk_size < SIZES[-1] and memory(size, chunk_size) > 2 * budget(memory_available)

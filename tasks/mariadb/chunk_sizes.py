"""Which chunk size a database's archives get: the smallest that borg's memory on the host allows."""

KIB = 1024
MIB = 1024 * KIB
SIZES = tuple(power * KIB for power in (16, 32, 64, 128, 256, 512, 1024))  # 16 KiB is InnoDB's page
BYTES_PER_CHUNK = 700  # of borg's peak memory; 630 were measured with borg 1.2.4 and one item of 400,000 chunks
MOST_MEMORY = 512 * MIB
GROWTH = 3  # the choice is kept for the repository's life, so it is made for a database that has grown


def budget(memory_available: int | None) -> int:
    """Return how many bytes of memory borg's list of chunks may take on a host with so many bytes to spare.

    None means that the host did not say.
    """
    return MOST_MEMORY if memory_available is None else min(MOST_MEMORY, memory_available // 4)


def memory(size: int, chunk_size: int) -> int:
    """Return the bytes of memory that borg's list of chunks takes for `size` bytes of data."""
    return -(-size // chunk_size) * BYTES_PER_CHUNK


def choose(size: int, memory_available: int | None) -> int:
    """Return the chunk size in bytes for a database of `size` bytes on its first backup.

    Later backups must keep it, or nothing of theirs is found in the repository.
    """
    allowed = budget(memory_available)
    fitting = (chunk_size for chunk_size in SIZES if memory(GROWTH * size, chunk_size) <= allowed)
    return next(fitting, SIZES[-1])


def outgrown(size: int, chunk_size: int, memory_available: int | None) -> bool:
    """Tell whether a database takes more than twice the memory meant for it, so that a person should choose anew."""
    return chunk_size < SIZES[-1] and memory(size, chunk_size) > 2 * budget(memory_available)

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.mariadb import chunk_sizes

GB = 10**9
KIB = 1024


@pytest.mark.parametrize(
    ("gigabytes", "kibibytes"),
    [(0, 16), (20, 16), (46, 16), (47, 32), (93, 32), (94, 64), (240, 128), (5000, 1024)],
)
def test_a_large_host_gets_the_smallest_chunks_that_1_gib_holds_for_half_as_much_again(
    gigabytes: int, kibibytes: int
) -> None:
    assert chunk_sizes.choose(gigabytes * GB, 64 * GB) == kibibytes * KIB


def test_a_small_host_gets_larger_chunks() -> None:
    assert chunk_sizes.choose(20 * GB, 64 * GB) < chunk_sizes.choose(20 * GB, GB)


def test_a_host_that_does_not_tell_its_memory_counts_as_large() -> None:
    assert chunk_sizes.choose(4 * GB, None) == chunk_sizes.choose(4 * GB, 64 * GB)


@given(st.integers(0, 10**13), st.integers(0, 10**12))
def test_the_choice_fits_or_is_the_largest(size: int, memory: int) -> None:
    chosen = chunk_sizes.choose(size, memory)
    assert chosen in chunk_sizes.SIZES
    assert chosen == chunk_sizes.SIZES[-1] or 1.5 * size / chosen * 250 <= min(KIB**3, memory / 4)


@given(st.integers(0, 10**13), st.integers(0, 10**12))
def test_a_database_of_today_is_never_outgrown_on_its_first_day(size: int, memory: int) -> None:
    assert not chunk_sizes.outgrown(size, chunk_sizes.choose(size, memory), memory)


def test_a_database_that_grew_far_beyond_is_outgrown() -> None:
    assert chunk_sizes.outgrown(150 * GB, 16 * KIB, 64 * GB)
    assert not chunk_sizes.outgrown(130 * GB, 16 * KIB, 64 * GB)

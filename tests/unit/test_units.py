"""Numbers as a person reads them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.units import clock, size

UNITS = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "PB": 10**15}


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (12_400_000_000, "12.4 GB"),
        (212_000_000, "212 MB"),
        (999_600, "1 MB"),
    ],
)
def test_sizes(count: int, text: str) -> None:
    assert size(count) == text


@given(st.integers(0, 10**18 - 1))
def test_a_size_is_right_within_half_of_its_last_digit(count: int) -> None:
    number, unit = size(count).split()
    assert abs(float(number) * UNITS[unit] - count) <= UNITS[unit] * (0.051 if "." in number else 0.501)
    assert len(number) <= 4


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (41.4, "0:41"), (59.6, "1:00"), (3723, "1:02:03")])
def test_clock(seconds: float, text: str) -> None:
    assert clock(seconds) == text

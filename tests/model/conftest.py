"""The product's modules ask the clock of the sequence that is played."""

from collections.abc import Iterator

import pytest

from tests.model import machine, world  # noqa: F401  # what they import is to be clocked as well


@pytest.fixture(autouse=True)
def clocked() -> Iterator[None]:
    """Give everybody the world's clock."""
    with pytest.MonkeyPatch.context() as patch:
        world.clocked(patch)
        yield

"""A short soak: see `inv bench.soak` for a long one."""

import secrets

from tests.fault.fleet import Fleet
from tests.fault.soak import Soak


def test_whatever_strikes_what_is_listed_is_what_was_saved(whole_fleet: Fleet) -> None:
    seed = secrets.randbelow(1000)
    print(f"seed {seed}")
    soak = Soak.seeded(whole_fleet, seed, every=3)
    while soak.rounds < 3 or len(soak.saved) < 3:  # a round whose fault harms every app may save nothing
        soak.round()
    assert soak.restored() == len(soak.saved)

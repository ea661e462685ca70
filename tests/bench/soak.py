"""Rounds of backups with faults at random, and a restore of everything: `./inv bench.soak --rounds 500 --apps 20`.

A round backs up two of the apps, one of which meets a fault: a program of the backup killed, the operator's process killed or
interrupted, the storage full for a moment, all connections cut. What must hold after each is in `tests/fault/fleet.py`. At the
end each archive that is listed is restored and compared with what was saved. Exits 1 with the round when anything does not hold.
"""

import argparse
import secrets
import shutil
import sys
import time

from lab.lab import Lab, scratch_folder
from lab.plan import AppPlan
from tests.fault.fleet import Fleet
from tests.fault.soak import Soak

EVERY = 8  # each so many-th round is of databases: a restored database costs as much as five rounds of files
SERVERS = 4  # apps with a database


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=500)
    parser.add_argument("--apps", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=0)
    given = parser.parse_args()
    seed = given.seed or 1 + secrets.randbelow(1_000_000)
    print(f"seed {seed}", flush=True)
    folder = scratch_folder()
    plans = [AppPlan(f"app{number:02}", 1, 1, mariadb=number < SERVERS) for number in range(given.apps)]
    lab = Lab.start(folder, plans)
    try:
        soak = Soak.seeded(Fleet.ready(lab), seed, EVERY)
        began = time.monotonic()
        try:
            _rounds(soak, given.rounds, given.minutes * 60 or float("inf"))
            worked = time.monotonic() - began
            equal = soak.restored()
        except AssertionError:
            print(f"seed {seed}, round {soak.rounds}: {soak.fleet.victim} was the victim", file=sys.stderr)
            raise
    finally:
        lab.remove()
        shutil.rmtree(folder)
    print(f"{soak.rounds} rounds in {worked:.0f} s, {equal} archives, all of them restored and equal")
    for what, counts in (("struck", soak.faults), ("ended", soak.ends)):
        print(f"{what}: " + ", ".join(f"{name} {count}" for name, count in sorted(counts.items())))
    return 0


def _rounds(soak: Soak, rounds: int, longest: float) -> None:
    end = time.monotonic() + longest
    while soak.rounds < rounds and time.monotonic() < end:
        soak.round()
        if soak.rounds % 20 == 0:
            print(f"{soak.rounds} rounds, {len(soak.saved)} archives", flush=True)


if __name__ == "__main__":
    sys.exit(main())

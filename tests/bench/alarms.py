"""How often ordinary apps raise a false alarm, and how soon a real loss is seen: years of backups, reckoned only.

Each history is what borg would have said night after night: bytes, files, what was added, what all of it compresses to.
The rules (tasks/records/suspect.py) see as many records as any operator's machine reads, and a person accepts each false
alarm in the morning.
"""

import argparse
import random
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import islice

from tasks.records.gone import Gone, Loss, has_fewer, predecessor
from tasks.records.record import NEWEST, Record, Records
from tasks.records.suspect import COMPRESSED, TWO_WEEKS, unlike
from tasks.records.verdict import ACCEPT, SUSPECT

BEGAN = datetime(2026, 1, 1, 3, tzinfo=UTC)
MB, GB = 1e6, 1e9
MISSED = 0.02  # of the nights nobody backed up


@dataclass(frozen=True)
class Night:
    """What one backup holds and adds, in bytes; `ratio` is to which share of its size it compresses.

    `gone` is how many files of the night before it lacks, `lost` the share of the others that it lacks as well. `settled`
    is how many files of the night before had not changed for a month, `of_them` how many of those it lacks.
    """

    size: float
    added: float
    files: float
    ratio: float
    gone: float = 0
    lost: float = 0
    settled: float = 0
    of_them: float = 0


Chance = random.Random
History = Callable[[Chance], Iterator[Night]]


def steady(chance: Chance) -> Iterator[Night]:
    """A small shop: a little noise, a little growth."""
    size = 2 * GB
    while True:
        size *= chance.uniform(0.998, 1.003)
        files = 20_000 * size / (2 * GB)
        yield Night(size, size * chance.uniform(0.001, 0.006), files, 0.45, settled=files * 0.95)


def weekly_rotation(chance: Chance) -> Iterator[Night]:
    """Logs are most of the app, rotated each week, the old ones compressed and kept for four weeks."""
    kept: deque[float] = deque(maxlen=4)
    log, weekday = 0.0, chance.randrange(7)
    while True:
        weekday = (weekday + 1) % 7
        if weekday == 0:
            kept.append(log / 10)
            log = 0
        today = chance.uniform(60, 140) * MB
        log += today
        old = sum(kept)
        rotated = kept[-1] if weekday == 0 and kept else 0
        yield Night(
            150 * MB + log + old,
            today * 0.15 + rotated,
            800 + len(kept),
            (0.15 * log + old + 60 * MB) / (150 * MB + log + old),
            settled=790,
        )


def monthly_import(chance: Chance) -> Iterator[Night]:
    """A catalogue that comes anew each month: its files lie there twice for two nights, then the old ones go."""
    base, day = 4 * GB, chance.randrange(30)
    while True:
        day += 1
        base *= chance.uniform(0.999, 1.002)
        first = day % 30 == 0
        twice = day % 30 in (0, 1)
        yield Night(
            base * (1.6 if twice else 1),
            base * (0.22 if first else 0.002),
            90_000 * (1.6 if twice else 1),
            0.4,
            gone=54_000 if day % 30 == 2 else 30,
            settled=90_000 if day % 30 <= 2 else 36_000,
            of_them=54_000 if day % 30 == 2 else 0,
        )


def doubling_release(chance: Chance) -> Iterator[Night]:
    """A release doubles the files, twice a year; two small ones a month."""
    size, day = 600 * MB, chance.randrange(180)
    while True:
        day += 1
        big, small = day % 180 == 0, day % 15 == 0
        added = size * 0.4 if big else size * 0.03 if small else size * 0.001
        size *= 2 if big and size < 5 * GB else 1
        files = 9000 * size / (600 * MB)
        yield Night(size, added * chance.uniform(0.8, 1.2), files, 0.38, settled=files / 2)


def weekly_deploy(chance: Chance) -> Iterator[Night]:
    """Code of which nearly all is written anew each week or two, and compresses as before."""
    since = 0
    while True:
        deployed = chance.random() < 0.1
        since = 0 if deployed else since + 1
        size = 180 * MB * chance.uniform(0.97, 1.03)
        yield Night(
            size,
            size * (chance.uniform(0.1, 0.33) if deployed else 0.0005),
            14_000 * chance.uniform(0.95, 1.05),
            0.33,
            gone=chance.uniform(2000, 9000) if deployed else 700,
            settled=9000 if since > 30 else 300,
        )


def small(chance: Chance) -> Iterator[Night]:
    """Some kilobytes of configuration."""
    while True:
        size = 300_000 * chance.uniform(0.95, 1.05)
        yield Night(size, size * chance.uniform(0.01, 0.1), chance.randint(38, 42), 0.4, settled=36)


def noisy(chance: Chance) -> Iterator[Night]:
    """Some kilobytes and a cache that comes and goes: half of it says nothing."""
    cached = 0
    while True:
        size, before, cached = chance.uniform(20_000, 250_000), cached, chance.randint(0, 10)
        ratio = chance.uniform(0.3, 0.6)
        yield Night(size, size * chance.uniform(0.05, 0.5), 2 + cached, ratio, gone=before, settled=2)


def caching(chance: Chance) -> Iterator[Night]:
    """Hundreds of pages in a cache that is emptied whenever somebody publishes, beside some that stay."""
    cached, filled = 0.0, 0
    while True:
        emptied = chance.random() < 0.2
        before, nights, filled = cached, filled, 0 if emptied else filled + 1
        cached = 900 * (1 - 0.5 ** (filled + chance.random()))
        size = 20 * MB + cached * 30_000
        old = before * (1 - 0.5 ** (nights - 30)) if nights > 30 else 0  # of the cache, not changed for a month
        gone = chance.uniform(0.8, 1) if emptied else 0.02
        yield Night(size, cached * 20_000, 400 + cached, 0.3, gone=before * gone, settled=400 + old, of_them=old * gone)


def releases(chance: Chance) -> Iterator[Night]:
    """Each release lies in a folder of its own, of which two are kept; what did not change in it has only moved."""
    day, before, now = chance.randrange(14), 9000.0, 9000.0
    while True:
        day += 1
        changed = day % 14 == 0
        old, before, now = before, *((now, now * chance.uniform(0.85, 1.2)) if changed else (before, now))
        now = min(max(now, 5000), 15_000)
        files = before + now
        yield Night(
            files * 15_000, files * (3000 if changed else 20), files, 0.4, gone=old * 0.15 if changed else 5, settled=50
        )


def cleaned(chance: Chance) -> Iterator[Night]:
    """Documents that are deleted once a week, when they are two weeks old."""
    kept: deque[float] = deque()
    weekday = chance.randrange(7)
    while True:
        weekday = (weekday + 1) % 7
        kept.append(chance.uniform(50, 150))
        gone = 0.0
        while weekday == 0 and len(kept) > 14:
            gone += kept.popleft()
        files = 300 + sum(kept)
        yield Night(files * 200_000, kept[-1] * 200_000, files, 0.7, gone=gone, settled=300)


def gallery(chance: Chance) -> Iterator[Night]:
    """Photos: nothing compresses; some nights bring a tenth more."""
    size = 20 * GB
    while True:
        new = size * chance.uniform(0.03, 0.1) if chance.random() < 0.03 else size * chance.uniform(0, 0.002)
        size += new
        yield Night(size, new * 0.98 + 3 * MB, size / (4 * MB), 0.98, settled=size / (5 * MB))


def database(chance: Chance) -> Iterator[Night]:
    """A server whose largest table is rebuilt each month: smaller afterwards, and all of its pages are new."""
    size, day = 8 * GB, chance.randrange(30)
    while True:
        day += 1
        size *= chance.uniform(1, 1.006)
        rebuilt = day % 30 == 0
        size *= 0.85 if rebuilt else 1
        yield Night(size, size * (0.12 if rebuilt else chance.uniform(0.003, 0.01)), 1, 0.28)


def nightly_dump(chance: Chance) -> Iterator[Night]:
    """A compressed dump beside the files, new each night."""
    while True:
        dump = 300 * MB * chance.uniform(0.95, 1.05)
        yield Night(GB + dump, dump + 2 * MB, 7001, (0.4 * GB + dump) / (GB + dump), settled=7000)


def growing(chance: Chance) -> Iterator[Night]:
    """A new app that fills up: from little to much within weeks, and is tidied up now and then."""
    size = 30 * MB
    while True:
        before = size
        size *= chance.uniform(1, 1.12) if size < 5 * GB else chance.uniform(0.995, 1.01)
        tidied = size > GB and chance.random() < 0.01
        size *= 0.8 if tidied else 1
        gone = size / 50_000 * (0.25 if tidied else 0.001)
        old = size / 50_000 * 0.3
        added = max(size - before, 0) * 0.5 + size * 0.002
        yield Night(size, added, size / 50_000, 0.5, gone, settled=old, of_them=old * 0.5 if tidied else 0)


ORDINARY: tuple[History, ...] = (
    steady,
    weekly_rotation,
    monthly_import,
    doubling_release,
    weekly_deploy,
    small,
    noisy,
    caching,
    releases,
    cleaned,
    gallery,
    database,
    nightly_dump,
    growing,
)
Misfortune = Callable[[Night, int], Night]
LARGE = 1e9  # files, more than there are
HALF = 0.5


def unmounted(_: Night, __: int) -> Night:
    """The disk is not mounted: an empty folder."""
    return Night(0, 2000, 0, 1, gone=LARGE, settled=LARGE, of_them=LARGE)


def half_gone(night: Night, day: int) -> Night:
    """Half of the files are gone, and of what comes and goes beside them half as well."""
    part = HALF if day == 0 else 0
    return replace(
        night,
        size=night.size * 0.5,
        added=night.size * 0.001,
        files=night.files * 0.5,
        gone=night.gone * 0.5,
        of_them=night.of_them * 0.5,
        lost=part,
    )


def exchanged(night: Night, day: int) -> Night:
    """Another folder of that size lies in its place."""
    all_ = 1.0 if day == 0 else 0
    return replace(
        night,
        added=night.size * night.ratio if day == 0 else night.added,
        gone=LARGE * all_,
        settled=night.settled,
        of_them=LARGE * all_,
    )


def half_exchanged(night: Night, day: int) -> Night:
    """Half of the files are replaced by as many others that compress as well."""
    part = HALF if day == 0 else 0
    return replace(night, added=night.size * night.ratio / 2 if day == 0 else night.added, lost=part)


def blanked(night: Night, _: int) -> Night:
    """Half of the data is replaced by zeros: as many files, as large."""
    return replace(night, added=night.size * 0.001, ratio=night.ratio / 2)


def encrypted(night: Night, day: int) -> Night:
    """All of it is encrypted in one night."""
    return replace(night, added=night.size if day == 0 else night.added, ratio=1)


def poisoned(night: Night, day: int) -> Night:
    """One part of twenty more is encrypted each night."""
    done = min((day + 1) / 20, 1)
    return replace(night, added=night.size / 20 + night.added, ratio=night.ratio + (1 - night.ratio) * done)


LOSSES: tuple[Misfortune, ...] = (unmounted, half_gone, exchanged, half_exchanged, blanked, encrypted, poisoned)
LONGEST = 25  # nights after which a loss counts as never seen


def false_alarms(history: History, days: int, seed: int) -> int:
    """Return how many nights of an ordinary app were suspect."""
    chance, records, count = random.Random(f"{history.__name__} {seed}"), list[Record](), 0  # noqa: S311
    for day, night in enumerate(islice(history(chance), days)):
        if chance.random() < MISSED:
            continue
        made = _judged(_record(day, night), night, records)
        records.append(made)
        if made.outcome == "suspect":
            count += 1
            records.append(_accepted(made))
    return count


def nights_unseen(history: History, loss: Misfortune, at: int, seed: int) -> int:
    """Return for how many nights a loss that begins at day `at` is not seen; LONGEST when it never is."""
    chance, records = random.Random(f"{history.__name__} {seed}"), list[Record]()  # noqa: S311
    for day, usual in enumerate(islice(history(chance), at + LONGEST)):
        night = loss(usual, day - at) if day >= at else usual
        made = _judged(_record(day, night), night, records)
        if day >= at and made.outcome == "suspect":
            return day - at
        records.append(made)
        if made.outcome == "suspect":
            records.append(_accepted(made))
    return LONGEST


def _record(day: int, night: Night) -> Record:
    details = {"files": int(night.files), COMPRESSED: int(night.size * night.ratio)}
    time, key = BEGAN + timedelta(days=day), f"{day:064x}"
    return Record(
        "app",
        "backup",
        time,
        "ok",
        "files",
        archive=f"app-files-{time:%Y-%m-%dT%H-%M-%S}",
        archive_id=key,
        size=int(night.size),
        stored=int(night.added),
        details=details,
    )


def _judged(made: Record, night: Night, records: Sequence[Record]) -> Record:
    known = Records(tuple(records[-NEWEST:]))
    made = replace(made, details={**made.details, **_gone(made, night, known)})
    odd = unlike(made, known)
    return replace(made, outcome="suspect", details={**made.details, SUSPECT: list(odd)}) if odd else made


def _gone(made: Record, night: Night, known: Records) -> dict[str, object]:
    """Return what the comparison of two lists would say, if it was made."""
    before = predecessor(made, known)
    if before is None:
        return {}
    of = before.details["files"]
    settled = min(of, int(night.settled))
    every = _loss(of, night.gone, night.lost, before)
    return Gone(every, _loss(settled, night.of_them, night.lost, before), not has_fewer(made, known)).details


def _loss(of: int, gone: float, lost: float, before: Record) -> Loss:
    """Return a loss of files of usual size."""
    count = min(of, round(gone + (of - min(gone, of)) * lost))
    one = (before.size or 0) / max(before.details["files"], 1)
    return Loss(count, of, int(count * one), int(of * one))


def _accepted(made: Record) -> Record:
    time = made.time + timedelta(hours=5)
    return Record("app", ACCEPT, time, "ok", "files", archive_id=made.archive_id, details={"reason": "usual"})


def main() -> None:
    """Print the false alarms per app and year, and for each loss how many nights it stayed unseen."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--apps", type=int, default=20)
    options = parser.parse_args()
    print(f"{options.apps} apps of each kind, {options.days} days each")
    print(f"{'':18}{'false alarms':>16}   nights unseen (apps)")
    print(f"{'':18}{'per app and year':>16}   " + "".join(f"{loss.__name__:>22}" for loss in LOSSES))
    for history in ORDINARY:
        alarms = sum(false_alarms(history, options.days, seed) for seed in range(options.apps))
        rate = alarms / options.apps * 365 / options.days
        print(
            f"{history.__name__:18}{rate:>16.2f}   "
            + "".join(f"{_unseen(history, loss, options):>22}" for loss in LOSSES)
        )


def _unseen(history: History, loss: Misfortune, options: argparse.Namespace) -> str:
    """Return how often a loss at a random day was seen after how many nights, such as `0: 19, 1: 1`."""
    counts: dict[int, int] = {}
    for seed in range(options.apps):
        at = random.Random(seed).randint(TWO_WEEKS + 2, options.days)  # noqa: S311
        nights = nights_unseen(history, loss, at, seed)
        counts[nights] = counts.get(nights, 0) + 1
    return ", ".join(f"{'never' if nights == LONGEST else nights}: {count}" for nights, count in sorted(counts.items()))


if __name__ == "__main__":
    main()
